"""What a client wants to read: weights first, then how closely a range fits."""

import pytest

from graph.http.negotiation import GRAPHQL_RESPONSE, JSON, answer_type, prefers_page

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (BROWSER, JSON),
        ("application/json", JSON),
        ("application/graphql-response+json", GRAPHQL_RESPONSE),
        ("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", GRAPHQL_RESPONSE),
        ("application/json, application/graphql-response+json", GRAPHQL_RESPONSE),
        ("application/json, application/graphql-response+json;q=0.9", JSON),
        ("application/graphql-response+json, */*", GRAPHQL_RESPONSE),
        ("application/json;q=0.5, application/*", GRAPHQL_RESPONSE),
        ("application/json;q=0.5, */*;q=0.6", GRAPHQL_RESPONSE),
        ("application/*;q=0.1, */*", JSON),
        ("application/graphql-response+json;q=0, */*", JSON),
        ("application/json;q=0, */*;q=0.1", GRAPHQL_RESPONSE),
        ("APPLICATION/GraphQL-Response+JSON;Q=1.000", GRAPHQL_RESPONSE),
        ("text/plain, application/json;q=0.001", JSON),
        ("application/json;charset=latin1, application/graphql-response+json;q=0.1", GRAPHQL_RESPONSE),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=0, application/graphql-response+json;q=0.0, */*;q=0", None),
        ("application/xml, text/*", None),
        ("*/*;q=0", None),
        # Malformed: counts as not said.
        (",;,q=1;;", JSON),
        ("json", JSON),
        ("application/graphql-response+json;q=2", JSON),
        ("application/graphql-response+json;q=nan, application/json;q=0.1", JSON),
        ("text/html, application/json;q=-1", None),
    ],
)
def test_the_most_wanted_type_is_answered(accept: str, answered: str | None) -> None:
    assert answer_type(accept) == answered


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("text/*, application/json;q=0.9", True),
        ("text/html;q=0.5, application/json;q=0.4", True),
        ("", False),
        ("*/*", False),
        ("text/html, application/json", False),
        ("text/html, */*", False),
        ("text/html;q=0", False),
        ("application/json", False),
    ],
)
def test_a_page_is_for_who_wants_it_more_than_an_answer(accept: str, page: bool) -> None:
    assert prefers_page(accept) is page
