"""What the README and the tour say: the operations run, the tests are there, the links lead somewhere."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from graphql import parse, validate

from graph.check import MainJob
from graph.commands.demo import private_job
from graph.schema import schema

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "examples" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
READ, ANSWER, FOLLOW = OPERATIONS = re.findall(r"```graphql\n(.*?)```", README, re.DOTALL)


@pytest.fixture
async def job() -> AsyncIterator[MainJob]:
    async with private_job() as job:
        yield job
    structlog.reset_defaults()


@pytest.mark.parametrize("operation", OPERATIONS, ids=["read", "answer", "follow"])
def test_each_operation_is_one_of_the_schema(operation: str) -> None:
    assert validate(schema._schema, parse(operation)) == []


async def test_the_operations_work_on_the_sample_discussion_as_they_stand(job: MainJob) -> None:
    post = (await job.reader.ask(READ))["post"]
    assert len(post["thread"]["edges"]) == 10
    async with job.reader.follow(FOLLOW, after=post["thread"]["liveCursor"]) as stream:
        assert (await stream.next())["thread"]["__typename"] == "StreamReady"
        _, writer = job.writers[0]
        answered = (await writer.ask(ANSWER))["addComment"]
        assert answered["errors"] == []
        arrived = (await stream.next())["thread"]
    assert arrived["comment"]["id"] == answered["comment"]["id"]
    assert arrived["position"] == answered["position"]
    assert arrived["post"]["counts"]["comments"] == post["counts"]["comments"] + 1


def test_every_test_that_is_named_is_there() -> None:
    rows = [line for line in README.splitlines() if "`test_" in line]
    assert rows
    for row in rows:
        for path, names in re.findall(r"\]\((tests/[\w/.]+)\): ((?:`test_\w+`(?:, )?)+)", row):
            there = (ROOT / path).read_text(encoding="utf-8")
            assert [name for name in re.findall(r"`(\w+)`", names) if f"def {name}(" not in there] == []


def test_every_command_of_a_benchmark_is_there() -> None:
    modules = re.findall(r"-m (benchmarks\.\w+)", README)
    assert modules
    assert [each for each in modules if not (ROOT / f"{each.replace('.', '/')}.py").exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_name_in_the_tour_is_in_the_code() -> None:
    """What stands in the tour's code marks and looks like a name of ours."""
    tour = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
    sources = [path for package in ("graph", "subscriptions") for path in (ROOT / package).rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    names = {part for name in re.findall(r"`([A-Za-z_.]+)`", tour) for part in name.split(".")}
    assert {name for name in names if not re.search(rf"\b{name}\b", code)} == set()


def test_the_picture_is_small_and_fetches_nothing() -> None:
    picture = (ROOT / "docs" / "reply.svg").read_text(encoding="utf-8")
    assert len(picture) < 60_000
    assert set(re.findall(r"https?://[^\"' )]+", picture)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@font-face|@import|<image|<script|href=", picture)
    assert "Yasmine" in picture


def test_the_pictures_are_light() -> None:
    assert (ROOT / "docs" / "graphiql.png").stat().st_size < 200_000
