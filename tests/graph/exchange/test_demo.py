"""The sample discussion: what a first visitor must find in it, and what it must never hold."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from markdown_it import MarkdownIt

from graph.exchange.demo import (
    NARROW_NO_BREAK,
    NO_BREAK,
    Comment,
    Discussion,
    Post,
    demo_discussion,
    typeset,
)


@pytest.fixture(scope="module")
def discussion() -> Discussion:
    return demo_discussion()


@pytest.fixture(scope="module")
def french(discussion: Discussion) -> Post:
    return next(post for post in discussion.posts if post.language == "fr")


@pytest.fixture(scope="module")
def english(discussion: Discussion) -> Post:
    return next(post for post in discussion.posts if post.language == "en")


def texts(discussion: Discussion) -> Iterator[str]:
    for post in discussion.posts:
        yield from (post.title, post.summary, post.body)
        for comment in post.comments:
            yield comment.body
            if comment.edit:
                yield comment.edit.body


def depths(post: Post) -> dict[str, int]:
    found: dict[str, int] = {}
    for comment in post.comments:
        found[comment.key] = 0 if comment.parent is None else found[comment.parent] + 1
    return found


def answers(post: Post, comment: Comment) -> list[Comment]:
    return [other for other in post.comments if other.parent == comment.key]


def test_a_french_article_and_an_english_one_stand_beside_each_other(french: Post, english: Post) -> None:
    assert french.title == f"Un community manager doit-il publier pour être reconnu{NARROW_NO_BREAK}?"
    assert english.title == "Did the answer help? Three numbers we tried, and the one we kept"


def test_the_articles_have_substance(french: Post, english: Post) -> None:
    assert 500 <= len(french.body.split()) <= 700
    assert 250 <= len(english.body.split()) <= 350
    assert 35 <= len(french.comments) <= 45
    assert 8 <= len(english.comments) <= 12


def test_an_answer_comes_after_what_it_answers(discussion: Discussion) -> None:
    for post in discussion.posts:
        comments = {comment.key: comment for comment in post.comments}
        assert len(comments) == len(post.comments)
        for comment in post.comments:
            assert comment.at > (comments[comment.parent].at if comment.parent else post.at)


def test_the_thread_is_deep_and_has_several_beginnings(french: Post) -> None:
    per_level = Counter(depths(french).values())
    assert max(per_level) == 6
    assert per_level[0] >= 5
    assert per_level[4] >= 5


def test_more_than_a_dozen_practitioners_take_part_and_each_says_something(discussion: Discussion) -> None:
    handles = {person.handle for person in discussion.people}
    assert len(handles) == len(discussion.people) == 16
    assert handles == {post.author for post in discussion.posts} | {
        comment.author for post in discussion.posts for comment in post.comments
    }


def test_some_write_for_an_organization(discussion: Discussion) -> None:
    assert 4 <= len([person for person in discussion.people if person.organization]) <= 8


def test_people_answer_each_other_by_name(discussion: Discussion) -> None:
    names = {person.handle: person.name.split()[0] for person in discussion.people} | {"greg": "Greg"}
    for post in discussion.posts:
        by_key = {comment.key: comment for comment in post.comments}
        for comment in post.comments:
            if comment.parent is not None:
                assert re.search(rf"^(\w+ > )*{names[by_key[comment.parent].author]} >", comment.body, re.MULTILINE)


def test_people_quote_agree_and_link_to_their_work(french: Post) -> None:
    bodies = [comment.body for comment in french.comments]
    assert len([body for body in bodies if re.search(r"^> ", body, re.MULTILINE)]) >= 3
    assert len([body for body in bodies if "+1" in body]) >= 3
    assert len([body for body in bodies if "https://example.org/" in body]) >= 4


def test_quotations_are_the_words_of_what_is_answered(discussion: Discussion) -> None:
    for post in discussion.posts:
        by_key = {comment.key: comment for comment in post.comments}
        for comment in post.comments:
            for quoted in re.findall(r"^> (.+)$", comment.body, re.MULTILINE):
                assert comment.parent is not None
                assert quoted in by_key[comment.parent].body


def test_one_comment_was_deleted_after_it_was_answered(french: Post) -> None:
    [deleted] = [comment for comment in french.comments if comment.deleted_at]
    assert deleted.deleted_at is not None
    assert len(answers(french, deleted)) == 2
    assert all(answer.at < deleted.deleted_at for answer in answers(french, deleted))


def test_one_comment_was_edited_later_and_kept_its_first_words(french: Post) -> None:
    [edited] = [comment for comment in french.comments if comment.edit]
    assert edited.edit is not None
    assert edited.edit.at > edited.at
    assert edited.edit.body.startswith(edited.body)
    assert len(edited.edit.body) > len(edited.body)


def test_links_lead_to_nobody(discussion: Discussion) -> None:
    found = [address for text in texts(discussion) for address in re.findall(r"https?://[^/)\s]+", text)]
    assert set(found) == {"https://example.org"}


def test_bodies_are_markdown_without_html(discussion: Discussion) -> None:
    markdown = MarkdownIt("commonmark", {"html": True})
    for text in texts(discussion):
        tokens = [each for token in markdown.parse(text) for each in (token, *(token.children or ()))]
        assert not {token.type for token in tokens} & {"html_block", "html_inline"}


def test_the_text_holds_what_trips_naive_software(discussion: Discussion) -> None:
    text = "".join(texts(discussion))
    for sign in ("é", "à", "ç", "ê", "œ", "À", "’", "«", "»", "…", "🎉", "❤️", NO_BREAK, NARROW_NO_BREAK):
        assert sign in text, f"{sign!a} is missing"


def test_no_french_line_breaks_before_its_punctuation(french: Post) -> None:
    for text in (french.title, french.body, *(comment.body for comment in french.comments)):
        assert not re.search(r" [!?;:»]|« |\w'\w", text)


def test_the_discussion_is_over_when_it_is_loaded(discussion: Discussion) -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert discussion.length == timedelta(days=6, hours=22, minutes=2)
    assert discussion.began_at(now) == datetime(2026, 1, 24, 13, 58, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "set_in_type"),
    [
        ("Vraiment ? Oui ! Ainsi ; soit", "Vraiment\u202f? Oui\u202f! Ainsi\u202f; soit"),
        ("ceci : « cela »", "ceci\u00a0: «\u00a0cela\u00a0»"),
        ("31 000 messages, 11 %, 22 h", "31\u202f000 messages, 11\u00a0%, 22\u00a0h"),
        ("l'œuvre, *l'œuvre*", "l’œuvre, *l’œuvre*"),
        ("Greg > bonjour", "Greg > bonjour"),
        ("https://example.org/a?b=1;c", "https://example.org/a?b=1;c"),
    ],
)
def test_french_is_set_with_spaces_that_do_not_break(typed: str, set_in_type: str) -> None:
    assert typeset(typed, "fr") == set_in_type


def test_english_keeps_its_spaces() -> None:
    assert typeset("I don't know: 31 000 ?", "en") == "I don’t know: 31 000 ?"
