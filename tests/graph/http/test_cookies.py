"""The session's cookie: where there can be one, how it is written, and how it is found again."""

import pytest

from graph.http.cookies import SessionCookie, cookie_at


@pytest.mark.parametrize("url", ["https://talk.example.org", "https://example.org/talk", "https://localhost:8443"])
def test_over_https_the_cookie_is_bound_to_the_very_host(url: str) -> None:
    cookie = cookie_at(url)
    assert cookie is not None
    assert cookie.kept("pal_s_x", 60) == (
        "__Host-palabre-session=pal_s_x; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure"
    )
    assert cookie.cleared() == "__Host-palabre-session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost", "http://[::1]:8000/talk"])
def test_on_this_machine_it_goes_without_https(url: str) -> None:
    cookie = cookie_at(url)
    assert cookie is not None
    assert cookie.kept("pal_s_x", 60) == "palabre-session=pal_s_x; Max-Age=60; Path=/; HttpOnly; SameSite=Lax"


@pytest.mark.parametrize(
    "url", ["http://talk.example.org", "http://0.0.0.0:8000", "http://192.168.1.2", "http://localhost.example.org"]
)
def test_in_the_open_there_is_none(url: str) -> None:
    assert cookie_at(url) is None


@pytest.mark.parametrize(
    ("header", "secret"),
    [
        ("__Host-palabre-session=pal_s_x", "pal_s_x"),
        ("a=b; __Host-palabre-session=pal_s_x; c", "pal_s_x"),
        ("__Host-palabre-session = pal_s_x ", "pal_s_x"),
        ("__Host-palabre-session=", None),
        ("__Host-palabre-session", None),
        ("palabre-session=pal_s_x", None),
        ("x__Host-palabre-session=pal_s_x", None),
        ("", None),
        (";;==;é=\x80", None),
    ],
)
def test_the_secret_is_found_in_the_header(header: str, secret: str | None) -> None:
    assert SessionCookie(is_secure=True).in_header(header) == secret
