"""The guide for front ends: its operations belong to the schema and do what it says, and its figures are those of the
code."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from graphql import parse, validate

from graph.check import MainJob
from graph.client import Client
from graph.commands.demo import private_job
from graph.comments import discussion
from graph.comments import rules as comment_rules
from graph.execution.guard import Limits
from graph.pages import PAGE_LIMIT, PAGE_SIZE
from graph.posts import rules as post_rules
from graph.schema import schema
from graph.settings import settings_from
from subscriptions import endpoint

GUIDE = (Path(__file__).parent.parent / "docs" / "front-ends.md").read_text(encoding="utf-8")
STEPS = re.findall(r"```graphql\n(.*?)```\n\n```json\n(.*?)```", GUIDE, re.DOTALL)
OPERATIONS: dict[str, str] = {re.findall(r"^\w+ (\w+)", operation)[0]: operation for operation, _ in STEPS}
VARIABLES: dict[str, dict[str, Any]] = {
    name: json.loads(given) for name, (_, given) in zip(OPERATIONS, STEPS, strict=True)
}


@pytest.fixture
async def job() -> AsyncIterator[MainJob]:
    async with private_job() as job:
        yield job
    structlog.reset_defaults()


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_is_one_of_the_schema(name: str) -> None:
    assert validate(schema._schema, parse(OPERATIONS[name])) == []


def test_every_operation_of_the_guide_has_its_variables() -> None:
    assert len(OPERATIONS) == GUIDE.count("```graphql") == GUIDE.count("```json")


async def ask(client: Client, name: str, **known: object) -> dict[str, Any]:
    return await client.ask(OPERATIONS[name], **VARIABLES[name] | known)


async def test_a_thread_is_read_page_by_page_branch_by_branch_and_followed(job: MainJob) -> None:
    post = (await ask(job.reader, "ReadThread"))["post"]
    first = post["thread"]
    assert (len(first["edges"]), first["pageInfo"]["hasNextPage"]) == (10, True)
    following = (await ask(job.reader, "ReadThread", after=first["pageInfo"]["endCursor"]))["post"]["thread"]
    assert not {edge["node"]["id"] for edge in first["edges"]} & {edge["node"]["id"] for edge in following["edges"]}
    branch = (await ask(job.reader, "ReadMore"))["comment"]["thread"]
    assert {edge["depth"] >= 1 for edge in branch["edges"]} == {True}

    given = VARIABLES["FollowThread"] | {"after": first["liveCursor"]}
    async with job.reader.follow(OPERATIONS["FollowThread"], **given) as stream:
        assert (await stream.next())["thread"] == {"__typename": "StreamReady", "cursor": first["liveCursor"]}
        _, writer = job.writers[0]
        written = (await ask(writer, "AddComment"))["addComment"]
        arrived = (await stream.next())["thread"]
    assert written["errors"] == []
    assert arrived["comment"]["id"] == written["comment"]["id"]
    assert arrived["post"]["counts"]["comments"] == post["counts"]["comments"] + 1


async def test_somebody_signs_up_signs_in_and_writes_once(job: MainJob) -> None:
    assert (await ask(job.reader, "SignUp"))["signUp"]["errors"] == []
    signed_in = (await ask(job.reader, "SignIn"))["signIn"]
    assert signed_in["errors"] == []
    awa = replace(job.reader, token=signed_in["token"])
    who = await ask(awa, "WhoAmI")
    assert who["viewer"]["user"]["handle"] == "awa"
    assert who["viewer"]["settings"] == {"locale": "fr"}
    assert who["post"]["viewerCan"] == {"reply": True, "edit": False, "delete": False}
    first, again = [(await ask(awa, "AddComment"))["addComment"] for _ in range(2)]
    assert first == again
    assert first["clientMutationId"] == VARIABLES["AddComment"]["input"]["clientMutationId"]
    other = {"input": VARIABLES["AddComment"]["input"] | {"body": "Something else."}}
    refused = (await ask(awa, "AddComment", **other))["addComment"]
    assert [error["__typename"] for error in refused["errors"]] == ["ConflictError"]


async def test_who_is_not_signed_in_is_told_so_by_a_refusal(job: MainJob) -> None:
    assert (await ask(job.reader, "WhoAmI"))["viewer"] is None
    refused = (await ask(job.reader, "AddComment"))["addComment"]
    assert refused["comment"] is None
    assert [(error["__typename"], error["code"]) for error in refused["errors"]] == [
        ("PermissionError", "UNAUTHENTICATED")
    ]


def test_the_limits_are_those_of_the_code() -> None:
    limits, settings = Limits(), settings_from({})
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", GUIDE[GUIDE.index("## Limits") :], re.MULTILINE))
    figures = {
        what: [int(each.replace(",", "")) for each in re.findall(r"\d[\d,]*", said)] for what, said in rows.items()
    }
    assert figures == {
        "What": [],
        "A page of `thread`": [discussion.WINDOW_SIZE, discussion.WINDOW_LIMIT],
        "A page of any other list": [PAGE_SIZE, PAGE_LIMIT],
        "All lists of an operation together, if each were full": [limits.things],
        "An operation": [
            settings.operation_depth,
            limits.fields,
            settings.operation_tokens,
            settings.operation_bytes,
            limits.acts,
        ],
        "A request, or a message on a socket": [settings.body_bytes_limit >> 20],
        "A socket": [endpoint.OPERATIONS_LIMIT, endpoint.INIT_SECONDS],
        "A comment, a post": [comment_rules.BODY_LIMIT, post_rules.BODY_LIMIT],
    }
