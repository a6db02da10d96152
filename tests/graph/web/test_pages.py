"""The page as browsers get it: its examples, what it may load, and that nothing but its own files is handed out."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from graph.app import create_app
from graph.settings import settings_from
from graph.web import pages
from graph.web.examples import Account

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
INDEX = """<meta property="csp-nonce" nonce="{{nonce}}"><script src="graphql/assets/main-1a2b.js"></script>
<script id="given" type="application/json">{{given}}</script>"""
INTROSPECTION = {"query": "{ __schema { queryType { name } } }"}
MISSPELT = {"query": "{ pots { nodes { id } } }"}


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of one file, beside which there is a secret."""
    (tmp_path / "secret.js").write_text("secret", encoding="utf-8")
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX, encoding="utf-8")
    (folder / "assets" / "main-1a2b.js").write_text("alert(1)", encoding="utf-8")
    monkeypatch.setattr(pages, "BUILT", folder)
    return folder


def client(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://palabre.test")


async def served(database_url: str, guest: Account | None = None, **given: Any) -> Starlette:
    return create_app(settings_from({}, {"database_url": database_url, **given}), guest=guest)


@pytest.fixture
async def browser(built: Path, database_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    app = await served(database_url, Account("you", "a password </script>"))
    async with app.router.lifespan_context(app), client(app) as browser:
        yield browser


def given(html: str) -> Any:
    found = re.search(r'<script id="given" type="application/json">(.*)</script>', html)
    assert found
    return orjson.loads(found[1])


async def test_the_page_comes_with_examples_that_no_text_in_them_can_break(browser: httpx2.AsyncClient) -> None:
    answer = await browser.get("/graphql", headers=BROWSER)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.text.count("</script>") == INDEX.count("</script>")
    variables = [example["variables"] for example in given(answer.text)["examples"]]
    assert variables == [{}, {"identifier": "you", "password": "a password </script>"}]


async def test_the_page_may_load_its_own_files_and_nothing_else(browser: httpx2.AsyncClient) -> None:
    first, second = [await browser.get("/graphql", headers=BROWSER) for _ in range(2)]
    policy = first.headers["content-security-policy"]
    nonce = re.search(r'nonce="(\S+)"', first.text)
    assert nonce
    assert f"style-src 'self' 'nonce-{nonce[1]}'; " in policy
    assert nonce[1] not in second.text, "a nonce is good for one answer"
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["script-src"] == rules["worker-src"] == rules["connect-src"] == "'self'"
    assert re.findall(r"https?:|blob:|\*|unsafe-eval", policy) == []
    assert first.headers["cache-control"] == "no-store"
    assert first.headers["x-content-type-options"] == "nosniff"


async def test_a_file_is_kept_for_good_and_asked_for_once(browser: httpx2.AsyncClient) -> None:
    answer = await browser.get("/graphql/assets/main-1a2b.js")
    assert (answer.status_code, answer.text) == (200, "alert(1)")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-security-policy"] == "default-src 'none'; script-src 'self'"
    again = await browser.get("/graphql/assets/main-1a2b.js", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "name", ["index.html", "../index.html", "..%2f..%2fsecret.js", "%2e%2e/index.html", ".", "%00"]
)
async def test_nothing_but_the_pages_files_is_handed_out(browser: httpx2.AsyncClient, name: str) -> None:
    answer = await browser.get(f"/graphql/assets/{name}")
    assert answer.status_code == 404
    assert "secret" not in answer.text
    assert "given" not in answer.text


async def test_below_a_path_the_page_finds_its_files_by_relative_addresses(built: Path, database_url: str) -> None:
    app = await served(database_url)
    below = Starlette(routes=[Mount("/talk", app)])
    async with app.router.lifespan_context(app), client(below) as browser:
        page = await browser.get("/talk/graphql", headers=BROWSER)
        [address] = re.findall(r'src="([^"]+)"', page.text)
        assert (await browser.get(str(page.url.join(address)))).text == "alert(1)"


async def test_where_the_page_is_not_built_it_says_how(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str
) -> None:
    monkeypatch.setattr(pages, "BUILT", tmp_path)
    app = await served(database_url)
    async with app.router.lifespan_context(app), client(app) as browser:
        answer = await browser.get("/graphql", headers=BROWSER)
        assert answer.status_code == 503
        assert "make pages" in answer.text


@pytest.mark.parametrize(
    ("settings", "is_open"),
    [
        ({}, True),
        ({"graphiql": "off"}, False),
        ({"production": True}, False),
        ({"production": True, "graphiql": "on"}, True),
    ],
)
async def test_the_page_introspection_and_suggestions_are_there_together_or_not_at_all(
    built: Path, database_url: str, settings: dict[str, Any], is_open: bool
) -> None:
    app = await served(database_url, **settings)
    async with app.router.lifespan_context(app), client(app) as browser:
        page = await browser.get("/graphql", headers=BROWSER)
        file = await browser.get("/graphql/assets/main-1a2b.js")
        schema = (await browser.post("/graphql", json=INTROSPECTION)).json()
        misspelt = (await browser.post("/graphql", json=MISSPELT)).json()
    assert (page.headers["content-type"].startswith("text/html"), file.status_code == 200) == (is_open, is_open)
    assert ("data" in schema) is is_open
    assert ("Did you mean" in misspelt["errors"][0]["message"]) is is_open
