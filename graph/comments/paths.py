"""Where a comment stands in its post's tree, as text that sorts.  Knows numbers and text, no database.

A path is one segment per level, from the root down; a segment is the comment's number in its post, in fixed width.
So the order of paths is the order of reading: a comment, then its replies with all that hangs below them, oldest
first.  The mirrored path (`rpath`) is made of the numbers counted from the other end and sorts siblings newest first.
"""

from typing import Final

SEGMENT_CHARACTERS: Final = 5
NUMBERS: Final = 1 << 5 * SEGMENT_CHARACTERS  # numbers run from 1 to NUMBERS - 1: 33 million comments in one post

# Digits whose code points rise with their value (RFC 4648, base32hex): text order is then number order.
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
AFTER_DIGITS = "~"  # sorts after every digit: path + "~" is the place after the path's whole branch
BEFORE_DIGITS = "-"  # sorts before every digit: path + "-" is the place before its first reply


def segment(number: int) -> str:
    """Five digits.  Raises ValueError for a number that has no room in them."""
    if not 0 <= number < NUMBERS:
        raise ValueError(f"a comment's number is from 0 to {NUMBERS - 1}, not {number}")
    digits = ""
    for _ in range(SEGMENT_CHARACTERS):
        number, digit = divmod(number, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits


def mirrored(number: int) -> int:
    """The same distance from the other end: the newest has the lowest."""
    return NUMBERS - 1 - number


def path_below(parent_path: str | None, number: int) -> str:
    """`parent_path` None: a root of the post."""
    return (parent_path or "") + segment(number)


def rpath_below(parent_rpath: str | None, number: int) -> str:
    """`parent_rpath` None: a root of the post.  `number` is the comment's own, not mirrored."""
    return (parent_rpath or "") + segment(mirrored(number))


def depth_of(path: str) -> int:
    """Roots are 0."""
    return len(path) // SEGMENT_CHARACTERS - 1


def segments_of(path: str) -> list[str]:
    return [path[start : start + SEGMENT_CHARACTERS] for start in range(0, len(path), SEGMENT_CHARACTERS)]


def ancestors_of(path: str) -> list[str]:
    """Paths of the ancestors, root first, without the comment itself."""
    return [path[:end] for end in range(SEGMENT_CHARACTERS, len(path), SEGMENT_CHARACTERS)]


def numbers_in(path: str) -> list[int]:
    """Numbers of the comments on the way, root first.  Raises ValueError when it is no path."""
    if not path or len(path) % SEGMENT_CHARACTERS or path.strip(DIGITS):
        raise ValueError(f"not a path: {path!r}")
    return [int(part, len(DIGITS)) for part in segments_of(path)]


def mirrored_path(path: str) -> str:
    """The `rpath` of a path, and the path of an `rpath`."""
    return "".join(segment(mirrored(number)) for number in numbers_in(path))
