"""Whose pages may use this server: ours, and those of the named front ends."""

import pytest

from graph.http.origins import Origins

SITE = Origins("https://talk.example.org/forum", ("https://app.example.org",))


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://talk.example.org", {"https://talk.example.org"}),
        ("https://talk.example.org:443/forum", {"https://talk.example.org"}),
        ("http://Talk.example.org:8000", {"http://talk.example.org:8000"}),
        ("http://127.0.0.1:8000", {"http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"}),
        ("http://[::1]:80", {"http://127.0.0.1", "http://localhost", "http://[::1]"}),
        ("http://[2001:db8::1]:8000", {"http://[2001:db8::1]:8000"}),
    ],
)
def test_our_own_origin_is_told_as_browsers_tell_it(url: str, own: set[str]) -> None:
    assert Origins(url, ()).own == own


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://talk.example.org"},
        {"origin": "https://talk.example.org", "sec-fetch-site": "same-origin"},
        {"origin": "https://app.example.org", "sec-fetch-site": "same-site"},
        {"origin": "https://app.example.org", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
    ],
)
def test_nothing_speaks_against_the_cookie_of_our_pages_and_of_programs(headers: dict[str, str]) -> None:
    assert SITE.objection(headers) is None


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.example",
        "http://talk.example.org",
        "https://talk.example.org:8443",
        "https://talk.example.org.evil.example",
        "https://eviltalk.example.org",
        "https://blog.example.org",
    ],
)
@pytest.mark.parametrize("site", [None, "same-origin", "cross-site"])
def test_a_page_that_is_not_named_may_not_use_the_cookie(origin: str, site: str | None) -> None:
    headers = {"origin": origin} | ({} if site is None else {"sec-fetch-site": site})
    assert SITE.objection(headers) == f"Pages of {origin} may not use this site’s cookie."
    assert SITE.shared_with(origin) == {}
    assert SITE.preflight(headers, "POST") == {}


@pytest.mark.parametrize("site", ["cross-site", "same-site", "x", ""])
def test_what_another_site_makes_the_browser_fetch_comes_without_the_cookie(site: str) -> None:
    other = "Pages of another site may not use this site’s cookie."
    assert SITE.objection({"sec-fetch-site": site}) == other
    assert SITE.objection({"origin": "https://talk.example.org", "sec-fetch-site": site}) == other


def test_a_named_front_end_may_read_the_answers_and_send_credentials() -> None:
    assert SITE.shared_with("https://app.example.org") == {
        "Access-Control-Allow-Origin": "https://app.example.org",
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "Allow, Retry-After, WWW-Authenticate",
    }
    assert SITE.shared_with("https://talk.example.org") == {}
    assert SITE.shared_with(None) == {}


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("authorization,content-type", "authorization,content-type"),
        ("x-apollo-operation-name, content-type", "x-apollo-operation-name, content-type"),
        ("", None),
        ("a b", None),
        ("x\r\nSet-Cookie: a=b", None),
        ("é", None),
    ],
)
def test_a_named_front_end_may_send_the_headers_it_asks_for(asked: str, answered: str | None) -> None:
    headers = {"origin": "https://app.example.org", "access-control-request-headers": asked}
    found = SITE.preflight(headers, "GET, POST")
    assert found.pop("Access-Control-Allow-Headers", None) == answered
    assert found == {"Access-Control-Allow-Methods": "GET, POST", "Access-Control-Max-Age": "7200"}
