"""Codes of links that invite: made here, shown once, kept as a hash only."""

import secrets
from typing import Final

from graph.users.tokens import Secret, hash_of

PREFIX: Final = "pal_i_"  # whoever finds one can tell what it is


def new_code() -> Secret:
    """Short enough to be sent in a message; 144 random bits cannot be guessed."""
    text = PREFIX + secrets.token_urlsafe(18)
    return Secret(text, hash_of(text))
