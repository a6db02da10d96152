/**
 * The plainest client: `fetch` for what is asked once, graphql-ws for what is live, an array for what is shown.
 *
 *     node graphql-ws/main.js http://127.0.0.1:8000 UG9zdDox TOKEN
 */
import { randomUUID } from "node:crypto";

import { endOfBranch, placeOf } from "../place.js";
import { connection } from "../socket.js";
import { given, say, show, tell, typed } from "../terminal.js";

const ROW = /* GraphQL */ `
  fragment Row on Comment {
    id
    number
    bodyText
    byline { author { id displayName } }
  }
`;
const READ = /* GraphQL */ `
  query Read($postId: ID!, $after: Cursor) {
    post(id: $postId) {
      title
      thread(first: 20, after: $after) {
        liveCursor
        edges { depth node { ...Row } more { count } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
  ${ROW}
`;
const ANSWER = /* GraphQL */ `
  mutation Answer($input: AddCommentInput!) {
    addComment(input: $input) {
      comment { id }
      errors { __typename message path code }
    }
  }
`;
const FOLLOW = /* GraphQL */ `
  subscription Follow($postId: ID!, $after: LiveCursor) {
    thread(postId: $postId, after: $after) {
      __typename
      cursor
      ... on CommentAdded {
        comment { ...Row }
        position { depth ancestorIds previousSiblingId }
      }
      ... on CommentChanged { comment { ...Row } }
      ... on CommentRemoved { removedId }
    }
  }
  ${ROW}
`;

const { url, socketUrl, postId, token } = given();
let edges = [];
let pageInfo = { hasNextPage: false, endCursor: null };

async function ask(query, variables) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors.map((error) => error.message).join("\n"));
  return data;
}

async function readFirst() {
  const { post } = await ask(READ, { postId });
  if (!post) throw new Error("There is no such post, or it is not for you.");
  ({ edges, pageInfo } = post.thread);
  say(post.title);
  show(edges, pageInfo.hasNextPage);
  return post.thread.liveCursor;
}

async function readMore() {
  const { thread } = (await ask(READ, { postId, after: pageInfo.endCursor })).post;
  const known = new Set(edges.map((edge) => edge.node.id));
  // What came live may come once more with its page.
  edges.push(...thread.edges.filter((edge) => !known.has(edge.node.id)));
  pageInfo = thread.pageInfo;
  show(edges, pageInfo.hasNextPage);
}

async function answer({ number, body }) {
  const parentId = edges.find((edge) => edge.node.number === number)?.node.id;
  if (number && !parentId) return say(`#${number} is not loaded`);
  // Should the answer to this get lost, the same key makes it safe to send it again.
  const input = { postId, parentId, body, clientMutationId: randomUUID() };
  const { addComment } = await ask(ANSWER, { input });
  for (const error of addComment.errors) say(`refused: ${error.message}`);
  // What was done arrives like everybody's, by the stream.
}

const events = {
  StreamReady: () => say("live"),
  StreamHeartbeat: () => {},
  StreamReset() {
    say("too long away: reading anew");
    unsubscribe();
    begin();
  },
  CommentAdded({ comment, position }) {
    tell("+", comment);
    if (comment) add(comment, position);
  },
  CommentChanged({ comment }) {
    tell("~", comment);
    const edge = edges.find((each) => each.node.id === comment?.id);
    if (edge) edge.node = comment;
  },
  CommentRemoved({ removedId }) {
    const index = edges.findIndex((edge) => edge.node.id === removedId);
    if (index < 0) return;
    tell("-", edges[index].node);
    edges.splice(index, endOfBranch(edges, index) - index);
  },
};

function add(comment, position) {
  const rows = edges.map(({ node, depth }) => ({ id: node.id, depth }));
  const place = placeOf(rows, comment.id, position, pageInfo.hasNextPage);
  if (place && "insertAt" in place) {
    edges.splice(place.insertAt, 0, { depth: position.depth, node: comment, more: null });
  } else if (place) {
    const edge = edges[place.moreAt];
    edge.more = { count: (edge.more?.count ?? 0) + 1 };
  }
}

const client = connection({ socketUrl, token, onLost: () => say("connection lost") });
let unsubscribe = () => {};

async function begin() {
  const after = await readFirst();
  unsubscribe = client.subscribe(
    { query: FOLLOW, variables: { postId, after } },
    {
      next({ data, errors }) {
        if (errors) say(errors[0].message);
        // A newer server may tell of what is not known here: that is no reason to stop.
        if (data) events[data.thread.__typename]?.(data.thread);
      },
      error(problem) {
        console.error(problem);
        process.exit(1);
      },
      complete: () => say("the stream has ended"),
    },
  );
}

await begin();
for await (const line of typed()) await (line.body ? answer(line) : readMore());
show(edges, pageInfo.hasNextPage);
unsubscribe();
