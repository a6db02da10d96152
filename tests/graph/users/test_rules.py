"""What handles, names, addresses and passwords may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.audience import SCOPES
from graph.refusals import Invalid, NotPermitted, TooOften
from graph.users import rules


@pytest.mark.parametrize("handle", ["greg", "Zoé", "Grégoire_2", "a-b.c", "李雷", "Ольга", "देवी", "42", "x" * 30])
def test_a_handle_is_kept_as_it_is_written(handle: str) -> None:
    assert rules.clean_handle(handle) == handle


@pytest.mark.parametrize(
    "handle",
    [
        "two words", "a@b", "a/b", "semi;colon", "<b>", "_first", "-first", ".first", "last.",
        "\u0301accent", "in\u200bvisible", "right\u202eleft", "fi\u3164ller", "sel\ufe0fector", "emoji🙂",
    ],
)  # fmt: skip
def test_a_handle_of_other_characters_is_refused(handle: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.clean_handle(handle)
    assert refused.value.path == ("input", "handle")


@pytest.mark.parametrize(("handle", "limit"), [("", 2), ("a", 2), ("x" * 31, 30)])
def test_a_handle_of_the_wrong_length_is_told_the_limit(handle: str, limit: int) -> None:
    with pytest.raises(Invalid) as refused:
        rules.clean_handle(handle)
    assert (refused.value.limit, refused.value.actual) == (limit, len(handle))


@pytest.mark.parametrize("handle", ["admin", "Ádmin", "a.d-m_i.n", "Palabre", "graphql"])
def test_a_handle_of_the_site_is_kept_for_its_operator(handle: str) -> None:
    with pytest.raises(Invalid, match="kept for the site"):
        rules.clean_handle(handle)
    assert rules.clean_handle(handle, reserved=True) == handle


@pytest.mark.parametrize("spelling", ["Zoé", "ZOE", "zoe\u0301", "ｚｏｅ"])
def test_all_spellings_of_a_handle_have_one_key(spelling: str) -> None:
    assert rules.handle_key(spelling) == "zoe"


@given(st.text())
def test_any_text_has_a_handle_key_that_a_database_can_compare(anything: str) -> None:
    key = rules.handle_key(anything)
    assert "\x00" not in key
    key.encode()


def test_a_display_name_stands_on_one_line_and_turns_no_text() -> None:
    assert rules.clean_display_name("  Ada\n \u202eLovelace ") == "Ada Lovelace"


@pytest.mark.parametrize("name", ["", " \t\n", "\u202e\u3164", "\ufe0f"])
def test_a_display_name_that_shows_nothing_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.clean_display_name(name)
    assert refused.value.path == ("input", "displayName")


def test_a_display_name_one_character_too_long_is_refused() -> None:
    assert rules.clean_display_name("x" * 50) == "x" * 50
    with pytest.raises(Invalid) as refused:
        rules.clean_display_name("x" * 51)
    assert (refused.value.limit, refused.value.actual) == (50, 51)


def test_a_bio_of_nothing_but_space_is_none() -> None:
    assert rules.clean_bio(" \n") is None
    assert rules.clean_bio(" I *write*. ") == "I *write*."
    with pytest.raises(Invalid) as refused:
        rules.clean_bio("x" * 1_001)
    assert refused.value.limit == 1_000


@pytest.mark.parametrize(
    "email", ["ada@example.org", "Ada.L+palabre@mail.example.co.uk", "andré@exämple.org", "o'neil@example.org"]
)
def test_a_plausible_address_is_kept_as_it_is_written(email: str) -> None:
    assert rules.clean_email(email) == email


@pytest.mark.parametrize(
    "email",
    [
        "", "ada", "@example.org", "ada@", "ada@localhost", "a b@example.org", "ada@exa mple.org", "ada@@example.org",
        "ada@-example.org", "ada@example..org", "Ada <ada@example.org>", "a@example.org,b@example.org",
        f"{'x' * 65}@example.org", f"ada@{'x' * 250}.org", "ada@example.o",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(email: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.clean_email(email)
    assert refused.value.path == ("input", "email")


def test_an_endless_address_is_refused_at_once() -> None:
    with pytest.raises(Invalid):
        rules.clean_email("a@" + "x-" * 50_000)


def test_two_cases_of_an_address_are_one_and_two_accents_are_two() -> None:
    assert rules.email_key("Ada@Example.ORG") == rules.email_key("ada@example.org")
    assert rules.email_key("andré@example.org") != rules.email_key("andre@example.org")


@pytest.mark.parametrize("password", ["12345678", "correct horse battery staple", "ééééééé🙂", "x" * 200])
def test_a_password_need_not_be_composed_in_any_way(password: str) -> None:
    rules.check_password(password, handle="ada", email="ada@example.org")


@pytest.mark.parametrize("password", ["1234567", "x" * 201, "ADA_LOVELACE", "Ada@Example.org"])
def test_a_password_that_is_short_or_endless_or_the_name_is_refused(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.check_password(password, handle="ada_lovelace", email="ada@example.org")
    assert refused.value.path == ("input", "password")


@pytest.mark.parametrize("locale", [None, "fr", "pt-BR", "zh-Hant-TW"])
def test_a_language_tag_is_taken(locale: str | None) -> None:
    assert rules.clean_locale(locale) == locale


@pytest.mark.parametrize("locale", ["", "french", "fr_FR", "fr-", "fr\n", "x" * 36])
def test_what_is_no_language_tag_is_refused(locale: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.clean_locale(locale)
    assert refused.value.path == ("input", "locale")


def test_a_long_name_of_a_device_is_cut() -> None:
    assert rules.clean_device("Mozilla/5.0 " * 100) == ("Mozilla/5.0 " * 100)[:100]
    assert rules.clean_device(" \x00 ") is None


@pytest.mark.parametrize("handle", ["gr\u0435g", "\u0440aul", "\u03bfmar", "李Ольга", "ᎪᎠᎪda", "graph\u0430l"])
def test_a_handle_that_mixes_scripts_is_refused(handle: str) -> None:
    with pytest.raises(Invalid, match="one script"):
        rules.clean_handle(handle)


@pytest.mark.parametrize(
    "handle", ["東京タワー", "ひらがなカタカナ", "佐々木ken", "서울seoul", "greg1", "Ёлка", "zoé-2", "ｇｒｅｇ"]
)
def test_scripts_that_one_language_is_written_in_go_together(handle: str) -> None:
    assert rules.clean_handle(handle)


@pytest.mark.parametrize(
    ("handle", "latin"),
    [("сосо", "coco"), ("РОТОР", "potop"), ("хорор-1", "xopop-1"), ("ανα", "ava"), ("ΜΑΝΤΑ", "manta"), ("Рэй", None)],
)
def test_a_handle_looks_like_those_of_other_scripts(handle: str, latin: str | None) -> None:
    key = rules.handle_key(handle)
    alike = rules.look_alikes(key)
    assert key in alike
    if latin is None:
        assert alike == {key}
    else:
        assert latin in alike
        assert key in rules.look_alikes(latin)


def test_the_two_columns_of_look_alikes_are_as_long_and_name_each_letter_once() -> None:
    for latin, others in rules._LOOKING_ALIKE:
        assert len(latin) == len(others) == len(set(latin)) == len(set(others))
        assert latin.isascii()
        assert not any(letter.isascii() for letter in others)


def test_a_handle_that_looks_like_one_of_the_site_is_kept_for_its_operator() -> None:
    with pytest.raises(Invalid, match="kept for the site"):
        rules.clean_handle("арі")


def test_a_handle_is_changed_once_a_week() -> None:
    week = 7 * rules.DAY
    rules.check_rename(None, 0, 1)
    rules.check_rename(1, 9, 1 + week)
    with pytest.raises(TooOften) as too_often:
        rules.check_rename(1, 0, week)
    assert too_often.value.retry_after_seconds == 0.000001
    with pytest.raises(Invalid) as too_many:
        rules.check_rename(None, 10, 1)
    assert (too_many.value.limit, too_many.value.actual) == (10, 10)


def test_a_closed_account_is_taken_up_again_until_its_time_is_over() -> None:
    assert rules.may_sign_in(None, None, 5)
    assert rules.may_sign_in(1, 6, 5)
    assert not rules.may_sign_in(1, 5, 5)
    assert not rules.may_sign_in(1, None, 5)


def test_a_token_may_do_no_more_than_what_makes_it() -> None:
    assert rules.clean_scopes(None, {"READ", "WRITE"}) == {"READ", "WRITE"}
    assert rules.clean_scopes(["WRITE"], SCOPES) == {"READ", "WRITE"}
    assert rules.clean_scopes([], SCOPES) == {"READ"}
    with pytest.raises(NotPermitted) as refused:
        rules.clean_scopes(["ACCOUNT", "READ"], {"READ", "WRITE"})
    assert (refused.value.requires, refused.value.path) == ("ACCOUNT", ("input", "scopes"))


def test_a_token_lives_no_longer_than_what_makes_it() -> None:
    assert rules.clean_end(None, None) is None
    assert rules.clean_end(None, 5) == 5
    assert rules.clean_end(5, 5) == 5
    assert rules.clean_end(5, None) == 5
    with pytest.raises(Invalid) as refused:
        rules.clean_end(6, 5)
    assert refused.value.path == ("input", "expiresAt")
