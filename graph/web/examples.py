"""Operations to begin with, about what this server holds just now: each runs as it stands.

The ids in them are asked for as anybody may ask, so that they tell nobody more than the API does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graph.context import Context, Services, Viewer
from graph.execution.answers import Engine, Request

PAGE: Final = 5  # rows of the thread in one page

ABOUT: Final = """
query ($rows: Int!) {
  posts(first: 10) {
    nodes {
      id
      thread(first: $rows) { edges { depth node { id } } pageInfo { endCursor } }
    }
  }
}
"""

READ_POSTS: Final = """\
# What is published, newest first.  Ctrl-Enter runs it;
# Ctrl-Space suggests what else there is.
query ReadPosts {
  posts(first: 10) {
    nodes {
      id
      title
      byline { author { handle displayName } }
      counts { comments }
    }
  }
}
"""
READ_THREAD: Final = """\
# A discussion as a tree.  Ctrl-Enter runs it;
# Ctrl-Space suggests what else there is.
query ReadThread($post: ID!) {
  post(id: $post) {
    title
    counts { comments }
    comments(first: 3) {
      nodes {
        ...line
        replies(first: 2) {
          nodes {
            ...line
            replies(first: 2) { nodes { ...line } }
          }
        }
      }
    }
  }
}

fragment line on Comment {
  id
  bodyText
  byline { author { displayName } }
}
"""
PAGE_THREAD: Final = """\
# The same as a flat window, depth first: page two.
# `endCursor` is the `after` of the next one;
# `more` counts what is left out below a row.
query PageThread(
  $post: ID!, $first: Int!, $after: Cursor
) {
  post(id: $post) {
    thread(first: $first, after: $after) {
      edges {
        depth
        node {
          id
          bodyText
          byline { author { displayName } }
        }
        more { count cursor reason }
      }
      pageInfo { hasNextPage endCursor }
      liveCursor
    }
  }
}
"""
SIGN_IN: Final = """\
# The token goes into the headers of all tabs here,
# and into the connections of live streams.
mutation SignIn(
  $identifier: String!, $password: String!
) {
  signIn(input: {
    identifier: $identifier, password: $password
  }) {
    token
    expiresAt
    viewer { user { handle displayName } }
    errors { message path code }
  }
}
"""
REPLY: Final = """\
# Sign in first, in the tab before this one.
mutation Reply(
  $post: ID!, $parent: ID, $body: Markdown!
) {
  addComment(input: {
    postId: $post, parentId: $parent, body: $body
  }) {
    comment { id bodyHtml }
    position { ancestorIds depth previousSiblingId }
    errors { message path code }
  }
}
"""
WATCH_THREAD: Final = """\
# The discussion as it is, and then as it grows,
# below the answer.  After a disconnect the page
# goes on from the last `cursor`.
subscription WatchThread(
  $post: ID!
  $after: LiveCursor
  $snapshot: Boolean = true
) {
  thread(
    postId: $post
    after: $after
    snapshot: $snapshot
  ) {
    __typename
    cursor
    ... on CommentAdded {
      comment { ...line }
      position { ancestorIds depth previousSiblingId }
      post { counts { comments } }
    }
    ... on CommentChanged { comment { ...line } }
    ... on CommentRemoved { removedId }
    ... on ThreadSnapshot {
      post {
        title
        thread(first: 100) {
          edges { depth node { ...line } }
        }
      }
    }
  }
}

fragment line on Comment {
  id
  bodyText
  status
  byline { author { displayName } }
}
"""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody whom everyone may sign in as: there is one in the sample discussion, and nowhere else."""

    handle: str
    password: str


@dataclass(frozen=True, slots=True)
class Example:
    query: str
    variables: Mapping[str, Any] = field(default_factory=dict)


async def examples(engine: Engine, services: Services, account: Account | None = None) -> list[Example]:
    """About the newest post that has answers, or else the newest; without any, only what needs none."""
    asked = Request(ABOUT, {"rows": PAGE})
    answer = await engine.answer(asked, Context(services, Viewer()))
    posts = [] if answer.data is None else answer.data["posts"]["nodes"]
    answered = (post for post in posts if post["thread"]["edges"])
    post = next(answered, posts[0] if posts else None)
    signing_in = Example(SIGN_IN, _credentials(account))
    if post is None:
        return [Example(READ_POSTS), signing_in]
    return [*_reading(post), signing_in, *_taking_part(post)]


def _credentials(account: Account | None) -> dict[str, str]:
    if account is None:
        return {"identifier": "", "password": ""}
    return {"identifier": account.handle, "password": account.password}


def _reading(post: Mapping[str, Any]) -> Iterator[Example]:
    yield Example(READ_THREAD, {"post": post["id"]})
    yield Example(PAGE_THREAD, {"post": post["id"], "first": PAGE, "after": post["thread"]["pageInfo"]["endCursor"]})


def _taking_part(post: Mapping[str, Any]) -> Iterator[Example]:
    edges = post["thread"]["edges"]
    # The deepest: a reply to it shows its place best.
    parent = max(edges, key=lambda edge: edge["depth"])["node"]["id"] if edges else None
    yield Example(REPLY, {"post": post["id"], "parent": parent, "body": "**+1**, and here is how we did it."})
    yield Example(WATCH_THREAD, {"post": post["id"]})
