"""Secrets say what they are, cannot be guessed, and are kept as a hash."""

import hashlib

import pytest

from graph.users.tokens import SECRET_LIMIT, hash_of, new_secret


@pytest.mark.parametrize(("kind", "prefix"), [("SESSION", "pal_s_"), ("API", "pal_t_")])
def test_a_secret_says_what_it_is_and_is_256_random_bits(kind: str, prefix: str) -> None:
    one, other = new_secret(kind), new_secret(kind)
    assert one.text.startswith(prefix)
    assert len(one.text) == 49 <= SECRET_LIMIT
    assert one.text != other.text


def test_only_its_sha256_is_kept_and_it_is_not_printed() -> None:
    secret = new_secret("API")
    assert secret.hash == hashlib.sha256(secret.text.encode()).digest() == hash_of(secret.text)
    assert secret.text not in repr(secret)


def test_any_text_can_be_looked_for() -> None:
    assert len(hash_of("\ud800é")) == 32
