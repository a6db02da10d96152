"""What Palabre says, in French: each pattern of `graph.phrases` with its translation, in the order of the English."""

from collections.abc import Mapping
from typing import Final

FRENCH: Final[Mapping[str, str]] = {
    "A comment cannot be empty.": "Un commentaire ne peut pas être vide.",
    "A handle has {shortest} to {limit} characters.": "Un pseudo compte de {shortest} à {limit} caractères.",
    "Sign in first.": "Connectez-vous d’abord.",
}
