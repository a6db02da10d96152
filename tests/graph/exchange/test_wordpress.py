"""WordPress exports of every version are read as a stream, whole or not at all."""

import os
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from graph.exchange.wordpress import Author, Comment, Item, Record, Site, UnreadableExport, records, rendered

SHARED = Path(os.environ.get("PALABRE_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:wp="{namespace}" xmlns:excerpt="{namespace}excerpt/" xmlns:atom="http://www.w3.org/2005/Atom"
  xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel>
<title>L’arbre</title>
<atom:link href="https://elsewhere.example/feed" />
<link>https://arbre.example/</link>
<language>fr-FR</language>
"""
TAIL = "</channel>\n</rss>\n"
NAMESPACE = "http://wordpress.org/export/1.2/"

AUTHOR = """<wp:author><wp:author_id>7</wp:author_id><wp:author_login>awa</wp:author_login>
<wp:author_email>awa@arbre.example</wp:author_email>
<wp:author_display_name><![CDATA[Awa Ndiaye]]></wp:author_display_name></wp:author>
"""
POST = """<item>
<title>Sous l&#8217;arbre &amp; ailleurs</title>
<link>https://arbre.example/2014/test/</link>
<dc:creator><![CDATA[awa]]></dc:creator>
<content:encoded><![CDATA[On <b>parle</b>.]]></content:encoded>
<excerpt:encoded><![CDATA[Bref.]]></excerpt:encoded>
<wp:post_id>18</wp:post_id>
<wp:post_date>2014-01-14 18:31:03</wp:post_date>
<wp:post_date_gmt>2014-01-14 17:31:03</wp:post_date_gmt>
<wp:comment_status>closed</wp:comment_status>
<wp:post_name>sous-l%c3%a0</wp:post_name>
<wp:status>publish</wp:status>
<wp:post_type>post</wp:post_type>
<wp:postmeta><wp:meta_key>wp:post_id</wp:meta_key><wp:meta_value>99</wp:meta_value></wp:postmeta>
<wp:comment>
  <wp:comment_id>2</wp:comment_id>
  <wp:comment_author><![CDATA[Moussa]]></wp:comment_author>
  <wp:comment_author_email>moussa@arbre.example
  </wp:comment_author_email>
  <wp:comment_author_url>http://moussa.example/</wp:comment_author_url>
  <wp:comment_date>2014-01-14 18:32:12</wp:comment_date>
  <wp:comment_date_gmt>2014-01-14 17:32:12</wp:comment_date_gmt>
  <wp:comment_content>
    <![CDATA[D’accord !]]></wp:comment_content>
  <wp:comment_approved>1</wp:comment_approved>
  <!-- nobody knows what this was -->
  <wp:comment_type></wp:comment_type>
  <wp:comment_parent>0</wp:comment_parent>
  <wp:comment_user_id>0</wp:comment_user_id>
  <wp:commentmeta><wp:meta_key>k</wp:meta_key><wp:meta_value>v</wp:meta_value></wp:commentmeta>
</wp:comment>
</item>
"""


def moment(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[arg-type, misc]  # year, month, …


def written(folder: Path, body: str | bytes, *, namespace: str = NAMESPACE) -> Path:
    path = folder / "export.xml"
    text = body if isinstance(body, bytes) else (HEAD.format(namespace=namespace) + body + TAIL).encode()
    path.write_bytes(text)
    return path


def items(path: Path) -> list[Item]:
    return [record for record in records(path) if isinstance(record, Item)]


def fields(**told: str) -> str:
    return "".join(f"<wp:{name}>{escape(value)}</wp:{name}>" for name, value in told.items())


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableExport) as refused:
        list(records(path))
    return str(refused.value)


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_export_of_any_version_is_read(tmp_path: Path, scheme: str, version: str) -> None:
    path = written(tmp_path, AUTHOR + POST, namespace=f"{scheme}://wordpress.org/export/{version}/")
    comment = Comment(
        id="2",
        parent_id="",
        author="Moussa",
        email="moussa@arbre.example",
        address="http://moussa.example/",
        user_id="",
        type="comment",
        approved="1",
        written_at=moment(2014, 1, 14, 17, 32, 12),
        content="D’accord !",
        line=26,
    )
    expected: list[Record] = [
        Author("7", "awa", "awa@arbre.example", "Awa Ndiaye", line=9),
        Item(
            id="18",
            type="post",
            status="publish",
            title="Sous l’arbre & ailleurs",
            slug="sous-là",
            address="https://arbre.example/2014/test/",
            creator="awa",
            content="On <b>parle</b>.",
            excerpt="Bref.",
            password="",
            is_open=False,
            written_at=moment(2014, 1, 14, 17, 31, 3),
            comments=(comment,),
            line=12,
        ),
        Site("L’arbre", "https://arbre.example", "fr-FR", line=4),
    ]
    assert list(records(path)) == expected


def test_an_export_cut_down_to_its_comments_holds_published_posts(tmp_path: Path) -> None:
    path = written(tmp_path, "<item><title>x</title><link>https://arbre.example/?p=4</link></item>")
    [item] = items(path)
    assert (item.id, item.type, item.status) == ("https://arbre.example/?p=4", "post", "publish")


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        ({"post_date_gmt": "2014-01-14 17:31:03", "post_date": "2014-01-14 18:31:03"}, moment(2014, 1, 14, 17, 31, 3)),
        ({"post_date_gmt": "0000-00-00 00:00:00", "post_date": "2014-01-14 18:31:03"}, moment(2014, 1, 14, 18, 31, 3)),
        ({"post_date_gmt": "0000-00-00 00:00:00", "post_date": "0000-00-00 00:00:00"}, moment(2008, 6, 16, 11, 17, 54)),
        ({"post_date_gmt": "2014-13-45 99:00:00"}, moment(2008, 6, 16, 11, 17, 54)),
        ({}, moment(2008, 6, 16, 11, 17, 54)),
    ],
)
def test_the_first_date_that_is_one_counts(tmp_path: Path, dates: dict[str, str], expected: int) -> None:
    published = "<pubDate>Mon, 16 Jun 2008 13:17:54 +0200</pubDate>"
    [item] = items(written(tmp_path, f"<item>{published}{fields(post_id='1', **dates)}</item>"))
    assert item.written_at == expected


def test_a_date_that_nobody_knows_is_none(tmp_path: Path) -> None:
    published = "<pubDate>Mon, 30 Nov -0001 00:00:00 +0000</pubDate>"
    [item] = items(written(tmp_path, f"<item>{published}{fields(post_id='1')}</item>"))
    assert item.written_at is None


def test_names_of_other_vocabularies_are_not_taken_for_ours(tmp_path: Path) -> None:
    body = '<item><x:title xmlns:x="urn:x">no</x:title><title>yes</title><x:comment xmlns:x="urn:x"/>'
    [item] = items(written(tmp_path, f"{body}{fields(post_id='1')}</item>"))
    assert (item.title, item.comments) == ("yes", ())


def test_markup_that_was_not_escaped_keeps_its_words(tmp_path: Path) -> None:
    [item] = items(written(tmp_path, "<item><title>un <b>deux</b> trois</title><wp:post_id>1</wp:post_id></item>"))
    assert item.title == "un deux trois"


def test_a_line_is_told_however_long_the_file_is(tmp_path: Path) -> None:
    [item] = items(written(tmp_path, "\n" * 100_000 + f"<item>{fields(post_id='1')}</item>"))
    assert item.line == 100_009


# -- Refusals


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "line 1: no element found"),
        (b"hello", "line 1: Start tag expected"),
        (b'<rss version="2.0"><channel><title>feed</title><item/></channel></rss>', "line 1: no WordPress export"),
        (b"<html><body/></html>", "line 1: no WordPress export: it begins with <html>"),
        (b"<rss>\n<channel>\n&nbsp;", "line 3: Entity 'nbsp' not defined"),
        (b"<rss>\n<channel>\n\x08", "line 3: PCDATA invalid Char value 8"),
        (b"<rss>\n<channel>\n\xff", "line 3:"),
        (b"<rss>\n" + b"<a>" * 300, "line 2: Excessive depth"),
    ],
)
def test_what_is_no_whole_export_is_refused_with_line_and_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    assert reason in refusal(written(tmp_path, content))


def test_an_export_cut_short_is_refused_at_its_last_line(tmp_path: Path) -> None:
    whole = written(tmp_path, AUTHOR + POST).read_bytes()
    assert (
        refusal(written(tmp_path, whole[: whole.index(b"<wp:comment_approved>")]))
        == "line 36: Premature end of data in tag comment line 26"
    )


BILLION = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "declaration",
    [
        f'<!DOCTYPE rss [<!ENTITY e0 "ha">{BILLION}]>',
        '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE rss [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd">]>',
    ],
)
def test_declared_entities_are_refused_before_any_is_used(tmp_path: Path, declaration: str) -> None:
    entity = "&e9;" if "e9" in declaration else "&x;"
    xml = f"{declaration}<rss><channel><title>{entity}</title></channel></rss>"
    assert refusal(written(tmp_path, xml.encode())) == "line 1: it declares entities, which no WordPress export does"


def outcome(path: Path) -> str | Counter[str]:
    """The refusal, or how many records of each kind there are."""
    try:
        found = list(records(path))
    except UnreadableExport as refused:
        return f"line {refused.line}: {refused.reason}" if refused.line >= 1 and refused.reason else Counter()
    return Counter(type(record).__name__ for record in found)


def test_an_export_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = written(tmp_path, AUTHOR + POST * 2).read_bytes().rstrip()
    for end in range(0, len(whole) - 1, 50):
        assert isinstance(outcome(written(tmp_path, whole[:end])), str), f"cut at byte {end}"


def test_an_export_with_a_wrong_byte_is_refused_or_read_to_its_end(tmp_path: Path) -> None:
    whole = written(tmp_path, AUTHOR + POST * 2).read_bytes()
    chance = random.Random(4)
    for _ in range(400):
        place = chance.randrange(len(whole))
        broken = whole[:place] + bytes([chance.randrange(256)]) + whole[place + 1 :]
        result = outcome(written(tmp_path, broken))
        assert isinstance(result, str) or result["Site"] <= 1


# -- Memory


def test_what_was_read_is_let_go(tmp_path: Path) -> None:
    import tracemalloc

    path = written(tmp_path, POST * 5_000)  # 8 MB of text
    reading = records(path)
    next(reading)
    tracemalloc.start()
    count = sum(1 for _ in reading)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 5_000
    assert most < 1_000_000


# -- Content


def test_a_caption_stays_with_its_picture() -> None:
    picture = '<a href="https://a.org"><img src="https://a.org/b.png" alt="b" /></a>'
    shortcode = f'[caption id="a" width="300"]{picture} Un [/caption]'
    html = rendered(f"avant\n\n{shortcode}\n\naprès").html
    assert "<figcaption>Un</figcaption></figure>" in html
    assert html.startswith("<p>avant</p>\n<figure><a ")
    assert html.endswith("</figure><p>après</p>")


def test_a_caption_written_as_an_attribute_is_kept() -> None:
    assert rendered("[caption caption='Deux mots']<img src='https://a.org/b.png'>[/caption]").text == "Deux mots"


def test_players_become_links_and_galleries_leave_no_code() -> None:
    assert rendered("un [gallery ids='1,2'] deux").text == "un deux"
    assert 'href="https://a.org/b.mp3"' in rendered('[audio mp3="https://a.org/b.mp3"][/audio]').html
    assert 'href="https://a.org/v"' in rendered("[embed width='1']https://a.org/v[/embed]").html
    assert "href" not in rendered("[embed]javascript:alert(1)[/embed]").html


def test_what_is_no_shortcode_or_is_escaped_stays() -> None:
    assert rendered("[1] voir [note] et [[gallery]]").text == "[1] voir [note] et [[gallery]]"


def test_line_ends_count_only_where_no_block_editor_marked_the_paragraphs() -> None:
    assert rendered("un\ndeux").html == "<p>un<br>deux</p>"
    assert rendered("<!-- wp:paragraph -->\n<p>un\ndeux</p>\n<!-- /wp:paragraph -->").html == "<p>un\ndeux</p>"


# -- Exports that we did not write


@pytest.mark.parametrize(
    ("name", "counts", "comments"),
    [
        ("isso.wordpress.xml", {"Item": 3, "Site": 1}, 8),
        ("theme-test-data.themeunittestdata.wordpress.xml", {"Author": 2, "Item": 186, "Site": 1}, 33),
    ],
)
def test_exports_from_elsewhere_are_read_completely(name: str, counts: dict[str, int], comments: int) -> None:
    if not (SHARED / name).exists():
        pytest.skip(f"no {name} in PALABRE_SHARED_DATA ({SHARED})")
    found = list(records(SHARED / name))
    assert Counter(type(record).__name__ for record in found) == counts
    assert sum(len(record.comments) for record in found if isinstance(record, Item)) == comments
