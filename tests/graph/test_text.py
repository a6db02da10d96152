"""What people write is kept, shown safely, and told in plain words."""

import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graph import text
from graph.text import Rendered, clean, excerpt, fold, from_html, render, slug

FRENCH = "« L’œuvre d’Ésope — 1 200 € ! » Ça va\u202f? Où\u00a0; l’aﬁn\u202f: 5\u00a0%…"
FAMILY = "👨‍👩‍👧‍👦"  # four people and three joiners
HEART = "❤️"  # a heart and the selector that makes it red

WRITTEN = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
MARKS = (
    "# ",
    "> ",
    "- ",
    "1. ",
    "*",
    "**",
    "_",
    "`",
    "```",
    "~~",
    "[",
    "](",
    ")",
    "![",
    "|",
    "|-|-|",
    "\n",
    "\n\n",
    "    ",
)
ATTACKS = ("<b>", "<script>", "</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)", "data:text/html,x")
OTHERS = ("https://a.org/x", "<https://b.org>", "&amp;", "&lt;", "\\", "mot", "œuvre", " ", "\u00a0!", FAMILY)
MARKDOWN = st.lists(st.sampled_from(MARKS + ATTACKS + OTHERS), max_size=40).map("".join)

OURS = (
    "<p>",
    "</p>",
    "<b>",
    "</b>",
    "<a href=https://x.org title='a>b'>",
    "</a>",
    "<br>",
    "<div onclick=x()>",
    "</div>",
)
FRAMES = ("<table><tr><td>", "</table>", "<pre>", "</pre>", "<ul><li>", "</ul>", "<a href='javascript:x'>")
STRANGE = (
    "<script>",
    "</script>",
    "<svg>",
    "<math><mi>",
    "<style>",
    "</style>",
    "<iframe src=x>",
    "<textarea>",
    "<text>",
)
BETWEEN = ("<img src=data:x alt=y>", "\n", "\n\n", "un", "deux", " ", "&nbsp;", "&lt;", "<", ">", '"', "<!-- c -->")
TAGS = st.lists(st.sampled_from(OURS + FRAMES + STRANGE + BETWEEN), max_size=40).map("".join)


def attributes_of(html: str) -> list[tuple[str, str]]:
    tags = re.findall(r"<\w+((?:\s[^\s=>]+=\"[^\"]*\")*)\s*>", html)
    return [pair for tag in tags for pair in re.findall(r"([^\s=]+)=\"([^\"]*)\"", tag)]


def assert_is_safe(html: str) -> None:
    assert not re.search(
        r"<\s*/?\s*(script|style|iframe|object|embed|form|svg|math|base|meta|link)\b", html, re.IGNORECASE
    )
    for name, value in attributes_of(html):
        assert name in set().union(*text.ATTRIBUTES.values()) | {"rel", "loading", "referrerpolicy"}
        if name in ("href", "src"):
            assert not re.match(r"[\s\x00-\x1f]*(javascript|data|vbscript)\s*:", value, re.IGNORECASE)
    assert html.count("<a ") == html.count('rel="nofollow ugc noopener"')


def words(written: str) -> list[str]:
    return re.findall(r"[^\W_]+", written)


# -- Markdown


def test_a_comment_is_kept_as_safe_html_and_as_plain_text() -> None:
    assert render("Bonjour *à tous*\nici\n\n- un\n- deux") == Rendered(
        html="<p>Bonjour <em>à tous</em><br>\nici</p>\n<ul>\n<li>un</li>\n<li>deux</li>\n</ul>",
        text="Bonjour à tous\nici\n\nun\ndeux",
    )


def test_tables_strikethrough_and_code_are_understood() -> None:
    rendered = render("a | b\n--|:-:\n1 | ~~2~~\n\n```python\nif x:\n    y\n```")
    assert '<td align="center"><s>2</s></td>' in rendered.html
    assert '<code class="language-python">if x:\n    y\n</code>' in rendered.html
    assert rendered.text == "a\tb\n1\t2\n\nif x:\n    y"


def test_html_in_markdown_is_shown_as_it_was_typed() -> None:
    rendered = render("un <b onclick='x()'>gras</b> <script>alert(1)</script>")
    assert rendered.html == "<p>un &lt;b onclick='x()'&gt;gras&lt;/b&gt; &lt;script&gt;alert(1)&lt;/script&gt;</p>"
    assert rendered.text == "un <b onclick='x()'>gras</b> <script>alert(1)</script>"


def test_a_link_is_not_followed_by_search_engines_and_cannot_reach_back() -> None:
    assert render("[ici](https://a.org 'là')").html == (
        '<p><a href="https://a.org" title="là" rel="nofollow ugc noopener">ici</a></p>'
    )


def test_an_address_becomes_a_link_and_a_missing_space_does_not() -> None:
    assert '<a href="https://a.org/été"' not in render("https://a.org/été").html  # it is encoded
    assert '<a href="https://a.org/%C3%A9t%C3%A9"' in render("voir https://a.org/été.").html
    assert "<a" not in render("C'est la fin.Il commence. Voir exemple.org ou //exemple.org").html


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "vbscript:x", "ftp://a.org", "JaVaScRiPt:x"]
)
def test_an_address_that_is_not_of_the_web_is_no_link(address: str) -> None:
    for written in (f"[x]({address})", f"<{address}>", f"![x]({address})", f"[x][1]\n\n[1]: {address}"):
        assert "href" not in render(written).html
        assert "src" not in render(written).html


def test_a_picture_of_another_site_is_fetched_late_and_told_nothing() -> None:
    rendered = render("![Un *arbre*](https://a.org/b.png)")
    assert rendered.html == (
        '<p><img loading="lazy" referrerpolicy="no-referrer" src="https://a.org/b.png" alt="Un arbre"></p>'
    )
    assert rendered.text == "Un arbre"


def test_the_same_text_is_always_rendered_to_the_same_html() -> None:
    written = "![a](https://a.org/b.png 'c') [d](https://a.org 'e') " * 20
    assert {render(written).html for _ in range(20)} == {render(written).html}


def test_french_typography_survives_rendering() -> None:
    assert render(FRENCH).text == unicodedata.normalize("NFC", FRENCH)
    assert clean(FRENCH) == FRENCH


def test_emoji_made_of_several_characters_survive() -> None:
    assert render(clean(f"a {FAMILY} b {HEART}")).text == f"a {FAMILY} b {HEART}"


@given(MARKDOWN | WRITTEN)
@example("[a](<javascript:alert(1)>)")
@example('<a href="javascript:x">')
def test_whatever_is_written_is_safe_to_show(written: str) -> None:
    assert_is_safe(render(clean(written)).html)


@given(
    st.lists(
        st.sampled_from(["mot", "œuvre", "l’été", "*", "**", "_", " ~~x~~ ", "> ", "- ", "# ", "\n", "\n\n", " "]),
        max_size=60,
    )
)
def test_every_word_that_is_written_can_be_read(pieces: list[str]) -> None:
    written = "".join(pieces)
    assert "".join(words(render(written).text)) == "".join(words(written))


@given(st.lists(st.lists(st.from_regex(r"[a-zà-ü]{1,8}", fullmatch=True), min_size=1, max_size=8), max_size=5))
def test_plain_paragraphs_are_rendered_as_themselves(paragraphs: list[list[str]]) -> None:
    written = "\n\n".join(" ".join(paragraph) for paragraph in paragraphs)
    once = render(written)
    assert once.text == written
    assert render(once.text) == once


@given(MARKDOWN)
def test_making_safe_html_safe_again_changes_nothing(written: str) -> None:
    html = render(clean(written)).html
    assert text.safe(html) == html


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param("[" * 20_000, id="brackets"),
        pytest.param("![" * 9_000 + "mot" + "](b)" * 500, id="pictures in pictures"),
        pytest.param(">" * 20_000 + "mot", id="quotes in quotes"),
        pytest.param("- " * 9_999 + "mot", id="lists in lists"),
        pytest.param("> " * 48 + "mot\n" + "b\n" * 9_000, id="lines that may belong to many quotes"),
        pytest.param("|a" * 2_500 + "\n" + "|-" * 2_500 + "\n" + "a\n" * 5_000, id="rows of a wide table"),
        pytest.param("https://a.b/(" * 1_500, id="addresses without an end"),
        pytest.param("*a **b " * 2_800, id="emphasis never closed"),
        pytest.param("<a " * 6_600, id="tags never closed"),
        pytest.param("`" + "` `` ``` " * 2_200, id="code never closed"),
    ],
)
def test_what_is_too_intricate_to_be_meant_is_shown_as_typed(bomb: str) -> None:
    rendered = render(bomb)
    assert words(rendered.text) == words(bomb)
    assert len(rendered.html) <= 9 * len(bomb)  # an escaped or linked character is a few, a bomb would be thousands


# -- HTML from elsewhere


def test_imported_html_gets_the_paragraphs_that_its_author_saw() -> None:
    assert from_html("Un <b>gras\nsuite\n\nencore</b> fin<br />\nligne\n\n<ul>\n<li>a</li>\n</ul>\naprès") == Rendered(
        html="<p>Un <b>gras<br>suite</b></p>\n<p><b>encore</b> fin<br>ligne</p>\n<ul>\n<li>a</li>\n</ul><p>après</p>",
        text="Un gras\nsuite\n\nencore fin\nligne\n\na\n\naprès",
    )


@pytest.mark.parametrize(
    ("written", "address", "after"),
    [
        ("https://a.org/b.", "https://a.org/b", "."),
        ("https://a.org/b?c=d&amp;e=f\u00a0!", "https://a.org/b?c=d&amp;e=f", "&nbsp;!"),
        ("https://a.org/b&gt; x", "https://a.org/b", "&gt; x"),
        ("(https://a.org/b).", "https://a.org/b", ")."),
        ("https://a.org/b_(c)", "https://a.org/b_(c)", ""),
    ],
)
def test_a_bare_address_in_an_imported_text_is_a_link(written: str, address: str, after: str) -> None:
    link = f'<a href="{address}" rel="nofollow ugc noopener">{address}</a>{after}'
    assert from_html(written).html.removeprefix("<p>").removeprefix("(").removesuffix("</p>") == link


@pytest.mark.parametrize("tag", ["a", "code", "pre"])
def test_an_address_that_is_shown_as_such_is_left_alone(tag: str) -> None:
    assert 'href="' not in from_html(f"<{tag}>https://a.org</{tag}>").html


def test_lines_of_preformatted_text_stay_as_they_are() -> None:
    rendered = from_html("avant\n<pre>\n  a\n\n\n  b &lt;c&gt;</pre>\naprès")
    assert rendered.html == "<p>avant</p>\n<pre>  a\n\n\n  b &lt;c&gt;</pre><p>après</p>"
    assert rendered.text == "avant\n\n  a\n\n\n  b <c>\n\naprès"


def test_line_ends_are_spaces_where_the_source_marks_its_paragraphs() -> None:
    assert from_html("<p>un\ndeux</p>", breaks=False).html == "<p>un\ndeux</p>"
    assert from_html("<p>un\ndeux</p>", breaks=False).text == "un deux"


def test_words_of_forbidden_markup_stay_and_scripts_go() -> None:
    rendered = from_html(
        "<form>un <button>deux</button></form><select><option>trois<option>quatre</select>"
        "<svg><text>cinq</text></svg> <math><mi>six</mi></math><iframe>sept</iframe><noscript>huit</noscript>"
        "<script>alert('neuf')</script><style>b{}</style><textarea>dix</textarea>"
    )
    assert words(rendered.text) == ["un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "dix"]
    assert_is_safe(rendered.html)


def test_cells_and_rows_are_told_apart_in_plain_text() -> None:
    assert from_html("<table><tr><th>a<th>b<tr><td>1<td>2</table>").text == "a\tb\n1\t2"


@given(TAGS | WRITTEN)
@example("<noscript><p title='</noscript><img src=x onerror=alert(1)>'>")
@example("<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'>")
@example("<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>")
def test_whatever_is_imported_is_safe_to_show(html: str) -> None:
    rendered = from_html(html)
    assert_is_safe(rendered.html)
    assert text.safe(rendered.html) == rendered.html


@given(
    st.lists(st.sampled_from(["un", "deux", "<p>", "</p>", "<b>", "</b>", "<div>", "</div>", "<x>", "\n", "\n\n", " "]))
)
def test_every_word_that_is_imported_can_be_read(pieces: list[str]) -> None:
    bare = "".join(piece for piece in pieces if not piece.startswith("<"))
    assert "".join(words(from_html("".join(pieces)).text)) == "".join(words(bare))


@pytest.mark.parametrize("tag", ["<b>", "<div>", "<svg>", "<table><tr><td>", "<select><option>", "<b><p></b>", "</p>"])
def test_a_bomb_of_tags_loses_no_word(tag: str) -> None:
    rendered = from_html(tag * (60_000 // len(tag)) + "mot")
    assert words(rendered.text)[-1] == "mot"


# -- Cleaning


def test_cleaning_composes_letters_and_ends_lines_one_way() -> None:
    assert clean("  e\u0301te\u0301\r\nfin\rfin\u2028fin\x0b. \n") == "été\nfin\nfin\nfin\n."


def test_cleaning_drops_what_cannot_be_written() -> None:
    assert clean("a\x00b\x1b[0m\ud800c\ufeff\x85d") == "ab[0mc\nd"


@given(st.text())
def test_cleaning_twice_is_cleaning_once(written: str) -> None:
    assert clean(clean(written)) == clean(written)


# -- Shortening


def test_an_excerpt_is_cut_between_words_and_says_so() -> None:
    assert excerpt("Sous l’arbre,\non parle longtemps.", 14) == "Sous l’arbre…"
    assert excerpt("Sous l’arbre", 12) == "Sous l’arbre"


def test_an_excerpt_does_not_take_a_quotation_mark_from_its_word() -> None:
    assert excerpt("Il dit «\u00a0bonjour\u00a0» au griot", 15) == "Il dit…"


def test_an_excerpt_of_one_long_word_does_not_take_a_character_apart() -> None:
    assert excerpt(FAMILY * 3, 10) == f"{FAMILY}…"
    assert excerpt("🇫🇷🇸🇳🇨🇮", 4) == "🇫🇷…"
    assert excerpt("é".replace("é", "e\u0301") * 5, 4) == "e\u0301…"


@given(st.text(min_size=1), st.integers(2, 50))
def test_an_excerpt_is_never_longer_than_asked(written: str, length: int) -> None:
    assert len(excerpt(written, length)) <= length


# -- Keys


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("ŒUVRE", "oeuvre"),
        ("Straße", "strasse"),
        ("Élève", "eleve"),
        ("ﬁn", "fin"),
        ("Ærø", "aero"),
        ("İstanbul", "istanbul"),
        ("ＡＢＣ", "abc"),
    ],
)
def test_spellings_of_one_word_have_one_key(written: str, key: str) -> None:
    assert fold(written) == key


@given(st.text())
@settings(max_examples=500)
def test_folding_twice_is_folding_once(written: str) -> None:
    assert fold(fold(written)) == fold(written)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("L’Œuvre d’été : ça ira !", "l-oeuvre-d-ete-ca-ira"),
        ("Γειά σου", "γεια-σου"),
        ("日本語", "日本語"),
        ("?!", "untitled"),
        ("", "untitled"),
        ("mot " * 40, "-".join(["mot"] * 20)),
        ("x" * 200, "x" * 80),
    ],
)
def test_a_title_becomes_an_address(title: str, expected: str) -> None:
    assert slug(title) == expected


@given(st.text())
def test_an_address_is_short_and_never_empty(title: str) -> None:
    assert 1 <= len(slug(title)) <= 80
    assert slug(slug(title)) == slug(title)
