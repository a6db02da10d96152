"""What a community may be called, and which roles somebody may give."""

import pytest

from graph.communities import rules
from graph.refusals import Invalid


def test_a_slug_comes_from_the_name_where_none_is_given() -> None:
    assert rules.clean_slug(None, "Écrire à plusieurs") == "ecrire-a-plusieurs"
    assert len(rules.clean_slug(None, "word " * 20)) <= rules.SLUG_LIMIT
    assert rules.clean_slug("together", "Écrire à plusieurs") == "together"


@pytest.mark.parametrize("slug", ["", "Capital", "two words", "-edge", "dou--ble", "é", "a/b", "x" * 51])
def test_a_slug_that_is_no_part_of_an_address_is_refused(slug: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.clean_slug(slug, "Name")
    assert refused.value.path == ("input", "slug")


def test_a_name_stands_on_one_line_and_has_a_limit() -> None:
    assert rules.clean_name(" The\nGarden ") == "The Garden"
    for name in (" ", "x" * 81):
        with pytest.raises(Invalid):
            rules.clean_name(name)


def test_a_description_of_nothing_but_space_is_none() -> None:
    assert rules.clean_description(" ") is None
    with pytest.raises(Invalid):
        rules.clean_description("x" * 2_001)


GIVES = {  # (actor, present) -> the roles that the actor may give
    (None, None): "",
    (None, "MEMBER"): "",
    ("MEMBER", None): "",
    ("MEMBER", "MEMBER"): "",
    ("MODERATOR", None): "MEMBER MODERATOR",
    ("MODERATOR", "MEMBER"): "MEMBER MODERATOR",
    ("MODERATOR", "MODERATOR"): "",
    ("MODERATOR", "ADMIN"): "",
    ("ADMIN", None): "MEMBER MODERATOR ADMIN",
    ("ADMIN", "ADMIN"): "MEMBER MODERATOR ADMIN",
}


@pytest.mark.parametrize(("actor", "present"), GIVES)
def test_moderators_give_up_to_their_own_role_and_admins_any(actor: str | None, present: str | None) -> None:
    given = [role for role in rules.ROLES if rules.may_give(actor, present, role)]
    assert given == GIVES[actor, present].split()
