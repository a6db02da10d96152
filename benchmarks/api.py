"""What the runs ask of the API: the documents, and the few requests that set a run up."""

from dataclasses import dataclass
from typing import Any

import httpx2

from graph.ids import key_of

PASSWORD = "a long enough password"
REQUEST_SECONDS = 30.0

SIGN_UP = """
mutation SignUp($handle: String!, $email: String!, $password: String!) {
  signUp(input: {handle: $handle, email: $email, password: $password}) { errors { message } }
}
"""
SIGN_IN = """
mutation SignIn($handle: String!, $password: String!) {
  signIn(input: {identifier: $handle, password: $password}) { token errors { message } }
}
"""
CREATE_POST = """
mutation CreatePost($title: String!) {
  createPost(input: {kind: ARTICLE, title: $title, body: "What do you think?"}) { post { id } errors { message } }
}
"""
ADD_COMMENT = """
mutation AddComment($post: ID!, $parent: ID, $body: Markdown!, $key: String!) {
  addComment(input: {postId: $post, parentId: $parent, body: $body, clientMutationId: $key}) {
    comment { id }
    errors { code message }
  }
}
"""
# How many comments there are and the place in the log, of one moment.
STANDING = """
query Standing($post: ID!) {
  post(id: $post) { counts { comments } thread(first: 1) { liveCursor } }
}
"""
# What a front end needs to put a comment where it belongs.
THREAD = """
subscription Thread($post: ID!, $after: LiveCursor) {
  thread(postId: $post, after: $after) {
    __typename
    cursor
    ... on CommentAdded {
      comment { id number status bodyText byline { author { handle } } }
      position { depth ancestorIds previousSiblingId }
      post { counts { comments } }
      ancestors { id replyCount }
    }
    ... on StreamReset { reason }
  }
}
"""
COMMENT_ADDED = """
subscription CommentAdded($post: ID!, $after: LiveCursor) {
  commentAdded(postId: $post, after: $after) {
    __typename
    cursor
    comment { id number bodyText byline { author { handle } } }
    post { counts { comments } }
  }
}
"""
SUBSCRIPTIONS = {"thread": THREAD, "commentAdded": COMMENT_ADDED}


class Unexpected(Exception):
    """The API answered what it should not."""


def body_of(document: str, **variables: object) -> dict[str, object]:
    return {"query": document, "variables": variables}


def data_of(response: httpx2.Response) -> dict[str, Any]:
    """The data of an answer without errors and without refusals.  Raises Unexpected."""
    try:
        answer: dict[str, Any] = response.json()
    except ValueError as wrong:
        raise Unexpected(f"{response.status_code} {response.text[:500]!r}") from wrong
    data: dict[str, Any] = answer.get("data") or {}
    refused = [payload["errors"] for payload in data.values() if isinstance(payload, dict) and payload.get("errors")]
    if response.status_code != 200 or answer.get("errors") or refused:
        raise Unexpected(f"{response.status_code} {response.text[:500]}")
    return data


def headers_for(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@dataclass(frozen=True, slots=True)
class Discussion:
    """A post, and the cursor of the moment before its first comment."""

    id: str
    key: int
    cursor: str


class Api:
    """Requests one after another: `with Api(address) as api`."""

    def __init__(self, address: str) -> None:
        self._http = httpx2.Client(base_url=f"http://{address}", timeout=REQUEST_SECONDS, trust_env=False)

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, document: str, token: str | None = None, **variables: object) -> dict[str, Any]:
        headers = {} if token is None else headers_for(token)
        return data_of(self._http.post("/graphql", json=body_of(document, **variables), headers=headers))

    def people(self, count: int) -> list[str]:
        """So many new ones; gives their tokens."""
        return [self._person(f"writer{number}") for number in range(count)]

    def _person(self, handle: str) -> str:
        self.ask(SIGN_UP, handle=handle, email=f"{handle}@example.org", password=PASSWORD)
        token: str = self.ask(SIGN_IN, handle=handle, password=PASSWORD)["signIn"]["token"]
        return token

    def discussion(self, token: str, title: str) -> Discussion:
        post: str = self.ask(CREATE_POST, token, title=title)["createPost"]["post"]["id"]
        cursor: str = self.ask(STANDING, post=post)["post"]["thread"]["liveCursor"]
        return Discussion(post, key_of(post, "Post"), cursor)
