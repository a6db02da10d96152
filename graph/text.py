"""Text that people wrote: cleaned, rendered once to safe HTML and plain text, shortened, folded for keys.

Whatever leaves here as HTML went through one allow-list last, whichever way it came in.  Nothing that a person can
read is dropped on the way: markup that is not allowed goes, its words stay.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape, unescape

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token


@dataclass(frozen=True, slots=True)
class Rendered:
    """One text in the two forms in which it is kept."""

    html: str  # safe to put into a page
    text: str  # paragraphs apart by an empty line, entities decoded


# -- Cleaning -----------------------------------------------------------------------------------------------------

# What Unicode calls a mandatory break, in all its spellings.
LINE_BREAKS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# Control characters other than tab and line feed, halves of surrogate pairs, and the mark of byte order.
UNWRITABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff]")


def clean(text: str) -> str:
    """As it is stored: NFC, lines ended by LF, nothing that cannot be written, no blank ends.

    Non-breaking spaces, ligatures, and the joiners and selectors that emoji are made of are kept.
    """
    text = UNWRITABLE.sub("", LINE_BREAKS.sub("\n", text))
    return unicodedata.normalize("NFC", text).strip()


# -- Safe HTML ----------------------------------------------------------------------------------------------------


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


INLINE = _names(
    "a abbr b bdi bdo big cite code del dfn em i img ins kbd mark q rp rt ruby s samp small span strike strong sub sup"
    " time tt u var wbr"
)
FLOW = _names("address article aside blockquote center div footer header main nav section")  # hold paragraphs
PARTS = _names("caption dd details dt figcaption figure h1 h2 h3 h4 h5 h6 li p pre summary td th")  # hold words
FRAMES = _names("dl hgroup ol table tbody tfoot thead tr ul")  # hold parts only
VOID = _names("br hr img wbr")
BLOCKS = FLOW | PARTS | FRAMES | {"hr"}
TAGS = INLINE | BLOCKS | VOID
SILENT = _names("script style")  # their content is for machines: the only words that go

ATTRIBUTES = {
    "*": {"lang", "dir"},
    "a": {"href", "title"},
    "abbr": {"title"},
    "code": {"class"},
    "del": {"datetime"},
    "img": {"src", "alt", "title", "width", "height"},
    "ins": {"datetime"},
    "li": {"value"},
    "ol": {"start", "reversed"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan", "scope"},
    "time": {"datetime"},
}
LANGUAGE_OF_CODE = re.compile(r"language-[\w+#.-]{1,40}")


def _attribute(tag: str, name: str, value: str) -> str | None:
    return value if name != "class" or LANGUAGE_OF_CODE.fullmatch(value) else None


SANITIZER = nh3.Cleaner(
    tags=TAGS,
    clean_content_tags=SILENT,
    attributes=ATTRIBUTES,
    attribute_filter=_attribute,
    url_schemes={"http", "https", "mailto"},
    link_rel="nofollow ugc noopener",
)


# A picture of another site is fetched late, and without telling that site which page is read.  Added here, as the
# sanitizer writes the attributes that it sets itself in a changing order.
PICTURE = '<img loading="lazy" referrerpolicy="no-referrer"'


def safe(html: str) -> str:
    """The same HTML within the allow-list.  Applying it again changes nothing."""
    return SANITIZER.clean(html).replace("<img", PICTURE)


# -- Plain text ---------------------------------------------------------------------------------------------------

# Only for what `safe` returns: there, attributes are always quoted, and < and > in words are always escaped.
MARKUP = re.compile(r"""<(?P<end>/?)(?P<tag>\w+)(?P<attributes>(?: [^\s="<>]+="[^"]*")*)>|(?P<words>[^<]+)""")
ALTERNATIVE = re.compile(r' alt="([^"]*)"')
SPACES = re.compile(r"[ \t\n\f]+")  # those that HTML collapses: the non-breaking ones are not among them

# How much empty space a block keeps around itself: parts of a list or table follow line by line.
LINE = _names("caption dd dt figcaption li summary tbody tfoot thead tr")
CELLS = _names("td th")


class _Plain:
    """Gathers words and decides on the space between them only when the next word comes."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.lines = 0  # to break before the next word
        self.gap = ""  # to put before it when no line is broken
        self.pre = 0

    def block(self, tag: str) -> None:
        if tag in CELLS:
            self.gap = "\t"
        else:
            self.lines = max(self.lines, 1 if tag in LINE else 2)

    def line(self) -> None:
        self.lines += 1
        self.gap = ""

    def words(self, text: str) -> None:
        if self.pre:
            self._put(text.removesuffix("\n"))
            return
        text = SPACES.sub(" ", text)
        if text.startswith(" "):
            self.gap = self.gap or " "
        if bare := text.strip(" "):
            self._put(bare)
            if text.endswith(" "):
                self.gap = " "

    def _put(self, text: str) -> None:
        if self.parts:
            self.parts.append("\n" * min(self.lines, 2) or self.gap)
        self.lines, self.gap = 0, ""
        self.parts.append(text)


def plain(html: str) -> str:
    """The words of safe HTML, as someone would type them."""
    result = _Plain()
    for found in MARKUP.finditer(html):
        tag = found["tag"]
        if tag is None:
            result.words(unescape(found["words"]))
        elif tag == "br":
            result.line()
        elif tag == "img":
            _alternative(result, found["attributes"])
        elif tag in BLOCKS:
            result.block(tag)
            result.pre += (-1 if found["end"] else 1) if tag == "pre" else 0
    return "".join(result.parts).strip()


def _alternative(result: _Plain, attributes: str) -> None:
    if found := ALTERNATIVE.search(attributes):
        result.words(unescape(found[1]))


# -- Markdown -----------------------------------------------------------------------------------------------------

NESTING = 50  # of quotes and lists: deeper is nobody's meaning, and the parser would drop what is inside
# What costs more than its length, and how much of it is taken for meant.
LINKS_IN_A_WORD = 50  # finding where each ends is quadratic when no space tells
TABLE_CELLS = 20_000  # a row of a wide table costs all its cells, even when it is written as one letter
NESTED_LINES = 20_000  # a line costs as much as the quotes and lists that it may belong to
DELIMITERS = re.compile(r"^[ \t>|:-]+$", re.MULTILINE)
MARKERS = re.compile(r"^[ \t]*(?:(?:>|[-+*]|\d{1,9}[.)])[ \t]*)+", re.MULTILINE)
MARKER = re.compile(r">|[-+*]|[.)]")


def _markdown() -> MarkdownIt:
    # `breaks`: in a discussion a line that someone ended is meant to end.
    options = {"html": False, "linkify": True, "breaks": True, "xhtmlOut": False, "maxNesting": NESTING}
    parser = MarkdownIt("commonmark", options).enable(["table", "strikethrough", "linkify"])
    # Only what is written as an address: "fin.Il commence" lacks a space, and ends in the domain of Israel.
    assert parser.linkify is not None
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    parser.linkify.add("ftp:", None).add("//", None)
    return parser


MARKDOWN = _markdown()


def render(markdown: str) -> Rendered:
    """Markdown as safe HTML and as plain text.

    HTML in it is shown as it was typed.  What is too intricate to be meant is shown as typed altogether, in
    paragraphs: the time taken is bounded by the length of the text.
    """
    if _is_costly(markdown):
        return _verbatim(markdown)
    tokens = MARKDOWN.parse(markdown)
    if any(token.level >= NESTING - 1 for token in tokens):
        return _verbatim(markdown)
    _align_by_attribute(tokens)
    return _rendered(MARKDOWN.renderer.render(tokens, MARKDOWN.options, {}))


def _rendered(html: str) -> Rendered:
    html = safe(html).strip()
    return Rendered(html, plain(html))


def _is_costly(markdown: str) -> bool:
    """Whether parsing would take more than some tens of milliseconds for 20,000 characters."""
    if markdown.count("[") > 200 + len(markdown) // 20:
        return True
    if any(word.count("://") > LINKS_IN_A_WORD for word in markdown.split()):
        return True
    lines = markdown.count("\n")
    columns = max((row[0].count("|") + 1 for row in DELIMITERS.finditer(markdown)), default=0)
    depth = max((len(MARKER.findall(start[0])) for start in MARKERS.finditer(markdown)), default=0)
    return (columns > 1 and columns * lines > TABLE_CELLS) or (depth > 1 and depth * lines > NESTED_LINES)


def _align_by_attribute(tokens: Sequence[Token]) -> None:
    """Columns are aligned by an attribute: styles are not on the allow-list, nor allowed by strict pages."""
    for token in tokens:
        if token.type in ("td_open", "th_open") and (style := token.attrs.pop("style", "")):
            token.attrs["align"] = str(style).removeprefix("text-align:")


PARAGRAPHS = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")


def _verbatim(text: str) -> Rendered:
    paragraphs = PARAGRAPHS.split(text.strip())
    return _rendered("\n".join(f"<p>{escape(each, quote=False).replace(chr(10), '<br>')}</p>" for each in paragraphs))


# -- HTML from elsewhere ------------------------------------------------------------------------------------------

TAG = re.compile(r"<(/?)([a-zA-Z][^\s/<>]*)")
# Their words would run together once the tags are gone.
APART = _names("button fieldset form iframe label legend object optgroup option select textarea title")
TAGS_LIMIT = 50_000  # a page has hundreds; building a tree of what cannot be meant costs more than it tells


def from_html(html: str, *, breaks: bool = True) -> Rendered:
    """HTML that another program stored, made safe, with all its words; bare addresses become links.

    `breaks`: the source writes an empty line between paragraphs and a new line for a line break, as WordPress and
    Disqus do.  Where it is False, line ends are mere spaces.
    """
    html = clean(html)
    if html.count("<") > TAGS_LIMIT:
        return _verbatim(html)
    html = "".join(_linked(safe(TAG.sub(_estranged, html))))
    return _rendered("".join(_Paragraphs().of(html)) if breaks else html)


def _estranged(tag: re.Match[str]) -> str:
    """A tag that we do not allow, as one that nobody knows.

    So no special way of parsing applies to it (forms, frames, vector graphics), under which the sanitizer would drop
    the words together with the tag.
    """
    name = tag[2].lower()
    if name in TAGS or name in SILENT:
        return tag[0]
    return f"{' ' if name in APART else ''}<{tag[1]}x-{name}"


# In words as the sanitizer escapes them, so that an ampersand is part of an address and a non-breaking space ends it.
ADDRESS = re.compile(r"https?://(?:(?!&(?:nbsp|lt|gt|quot);)[^\s\u202f\"'<>])+")
AFTER_ADDRESS = ".,;:!?…»”’"
UNLINKED = _names("a code pre kbd samp")


def _linked(html: str) -> Iterator[str]:
    within = 0
    for found in MARKUP.finditer(html):
        if found["tag"] in UNLINKED:
            within += -1 if found["end"] else 1
        yield found[0] if within or found["tag"] else ADDRESS.sub(_link, found[0])


def _link(found: re.Match[str]) -> str:
    address = found[0].rstrip(AFTER_ADDRESS)
    if address.endswith(")") and "(" not in address:
        address = address.rstrip(")" + AFTER_ADDRESS)
    return f'<a href="{address}">{address}</a>{found[0][len(address) :]}'


LINE_END = "\n"
PARAGRAPH_END = "\n\n"
LINE_ENDS = re.compile(r"((?<![ \t])[ \t]*\n[ \t\n]*)")
CARRIED = 8  # inline elements open at a paragraph's end that go on in the next one; further ones end there


class _Paragraphs:
    """Gives paragraphs and line breaks to HTML whose author only pressed Enter.

    A stretch of words and inline elements directly inside something that holds paragraphs becomes paragraphs; inside
    anything else its line ends become breaks.  Line ends next to a block element, and all of a `pre`, stay as they are.
    """

    def __init__(self) -> None:
        self.around: list[str] = []  # the block elements open here
        self.stretch: list[str] = []
        self.pre = 0  # how many of `around` are

    def of(self, html: str) -> Iterator[str]:
        for found in MARKUP.finditer(html):
            if found["tag"] in BLOCKS:
                yield from self._ended()
                yield found[0]
                self._block(found["tag"], ends=bool(found["end"]))
            elif found["tag"] or self.pre:
                self.stretch.append(found[0])
            else:
                self.stretch += [_line_end(piece) for piece in LINE_ENDS.split(found["words"]) if piece]
        yield from self._ended()

    def _block(self, tag: str, *, ends: bool) -> None:
        if tag == "pre":
            self.pre += -1 if ends else 1
        if ends:
            self.around.pop()
        elif tag not in VOID:
            self.around.append(tag)

    def _ended(self) -> Sequence[str]:
        stretch, self.stretch = self.stretch, []
        if self.pre or (self.around and self.around[-1] in FRAMES):
            return stretch
        stretch = _trimmed(stretch)
        if self.around and self.around[-1] not in FLOW:
            return _broken(stretch)
        return _paragraphs(stretch) if _says_something(stretch) else stretch


def _line_end(piece: str) -> str:
    if piece.strip(" \t\n"):
        return piece
    return {0: " ", 1: LINE_END}.get(piece.count("\n"), PARAGRAPH_END)


def _trimmed(stretch: list[str]) -> list[str]:
    start, end = 0, len(stretch)
    while start < end and stretch[start].isspace():
        start += 1
    while start < end and stretch[end - 1].isspace():
        end -= 1
    return stretch[start:end]


def _says_something(stretch: Sequence[str]) -> bool:
    return any(not piece.startswith("<") or piece.startswith("<img") for piece in stretch)


def _broken(pieces: Sequence[str]) -> list[str]:
    """The pieces with breaks where lines end, once: after a written break the line end says nothing more."""
    result: list[str] = []
    for piece in pieces:
        if piece not in (LINE_END, PARAGRAPH_END):
            result.append(piece)
        elif not result or result[-1] != "<br>":
            result += ["<br>"] * len(piece)
    return result


def _paragraphs(stretch: Sequence[str]) -> list[str]:
    """Paragraphs of the stretch.  What is emphasised across two of them is emphasised in each."""
    result: list[str] = []
    opened: list[str] = []
    paragraph: list[str] = []
    for piece in [*stretch, PARAGRAPH_END]:
        if piece == PARAGRAPH_END:
            result += ["<p>", *_broken(_trimmed(paragraph)), *(_closing(tag) for tag in reversed(opened)), "</p>\n"]
            paragraph = opened = opened[:CARRIED]
            opened = list(opened)
            continue
        paragraph.append(piece)
        if piece.startswith("</"):
            del opened[-1:]
        elif piece.startswith("<") and piece[1:].partition(" ")[0].rstrip(">") not in VOID:
            opened.append(piece)
    return result


def _closing(tag: str) -> str:
    return f"</{tag[1:].partition(' ')[0].rstrip('>')}>"


# -- Shortening ---------------------------------------------------------------------------------------------------

GLUE = {"\u200d", "\ufe0e", "\ufe0f"}  # joiner and selectors of emoji
SKINS = range(0x1F3FB, 0x1F400)
FLAGS = range(0x1F1E6, 0x1F200)  # letters, which make a flag in pairs


def excerpt(text: str, length: int) -> str:
    """The beginning of a text on one line, at most `length` characters with its ellipsis, cut between words.

    Non-breaking spaces hold: a quotation mark is not cut from its word.
    """
    line = SPACES.sub(" ", text).strip()
    if len(line) <= length:
        return line
    cut = line.rfind(" ", 0, length)
    if cut <= 0:
        cut = _between_characters(line, length - 1)
    return line[:cut].rstrip(" \u00a0\u202f,;:.…«(—–-") + "…"


def _between_characters(line: str, cut: int) -> int:
    """The last place at or before `cut` where no visible character is taken apart."""
    for place in range(cut, 0, -1):
        if not _is_joined(line, place):
            return place
    return cut


def _is_joined(line: str, place: int) -> bool:
    before, after = line[place - 1], line[place]
    if after in GLUE or before == "\u200d" or unicodedata.combining(after) or ord(after) in SKINS:
        return True
    return ord(after) in FLAGS and _flag_letters_before(line, place) % 2 == 1


def _flag_letters_before(line: str, place: int) -> int:
    start = place
    while start > 0 and ord(line[start - 1]) in FLAGS:
        start -= 1
    return place - start


# -- Keys ---------------------------------------------------------------------------------------------------------

# Letters that Unicode does not take apart, as people write them without a keyboard that has them.
LETTERS = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ł": "l", "þ": "th"})
ACCENTS = re.compile("[\u0300-\u036f]")  # marks of other scripts make other words: they stay
APART_IN_SLUGS = re.compile(r"[\W_]+")
SLUG_LENGTH = 80


def fold(text: str) -> str:
    """One key for all spellings of a word: case, accents, ligatures and widths are the same.  Folding twice is once."""
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()).casefold()
    return unicodedata.normalize("NFC", ACCENTS.sub("", text).translate(LETTERS))


def slug(title: str) -> str:
    """A title for an address: letters and digits of any script, folded, with hyphens; never empty, 80 at most."""
    words = APART_IN_SLUGS.sub("-", fold(title)).strip("-")
    if len(words) > SLUG_LENGTH:
        words = words[: SLUG_LENGTH + 1]
        words = (words.rpartition("-")[0] or words)[:SLUG_LENGTH].strip("-")
    return words or "untitled"
