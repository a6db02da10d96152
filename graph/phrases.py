"""What Palabre says to people: sentences in English that can be said in other languages.

A phrase is its English text, so it can be compared, logged and shown as it is; it remembers the pattern and the values
it was made of, and the pattern is what is translated.  A plain text is a pattern without values.
"""

import re
from collections.abc import Mapping
from typing import Final

from graph.french import FRENCH

TRANSLATIONS: Final[Mapping[str, Mapping[str, str]]] = {"fr": FRENCH}
LANGUAGES: Final = ("en", *TRANSLATIONS)
PREFERENCE: Final = re.compile(r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9-]*)?\s*(?:;\s*[qQ]=([01](?:\.[0-9]{0,3})?)\s*)?")


class Phrase(str):
    pattern: str
    values: Mapping[str, object]

    __slots__ = ("pattern", "values")


def phrase(pattern: str, **values: object) -> Phrase:
    """`pattern` is in English, with the names of the values in braces.  A value may be a phrase of its own."""
    made = Phrase(pattern.format_map(values))
    made.pattern, made.values = pattern, values
    return made


def said(message: str, locale: str) -> str:
    """The message in the language of this locale, such as fr-CH; in English where it has no translation."""
    translation = TRANSLATIONS.get(language_of(locale))
    if translation is None:
        return str(message)
    if not isinstance(message, Phrase):
        return translation.get(message, message)
    values = {
        name: said(value, locale) if isinstance(value, Phrase) else value for name, value in message.values.items()
    }
    return translation.get(message.pattern, message.pattern).format_map(values)


def language_of(locale: str) -> str:
    """The one of ours in which somebody with this locale is spoken to."""
    language = locale.split("-")[0].lower()
    return language if language in LANGUAGES else "en"


def language_wanted(accept_language: str) -> str | None:
    """The one of ours that the header likes best (RFC 9110, 12.5.4), the first of equals; None: it names none."""
    preferences = [found.groups() for part in accept_language.split(",") if (found := PREFERENCE.fullmatch(part))]
    liked = [(float(quality or 1), name.lower()) for name, quality in preferences if name.lower() in LANGUAGES]
    quality, language = max(liked, key=lambda one: one[0], default=(0.0, None))
    return language if quality else None
