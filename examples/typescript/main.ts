/**
 * TypeScript without a client library: graphql-codegen knows what each operation gives, and the compiler holds the
 * program to it.
 *
 *     node --import tsx typescript/main.ts http://127.0.0.1:8000 UG9zdDox TOKEN
 */
import { randomUUID } from "node:crypto";

import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { print } from "graphql";

import { Answer, Follow, Read } from "../documents.js";
import type { AnswerMutation, FollowSubscription, ReadQuery } from "../generated/graphql.js";
import { endOfBranch, placeOf } from "../place.js";
import type { LiveCursor } from "../scalars.js";
import { connection } from "../socket.js";
import { given, say, show, tell, typed } from "../terminal.js";

type Event = FollowSubscription["thread"];
type Added = Extract<Event, { __typename: "CommentAdded" }>;
type Thread = NonNullable<ReadQuery["post"]>["thread"];
type Refusal = AnswerMutation["addComment"]["errors"][number];

const { url, socketUrl, postId, token } = given();
let edges: Thread["edges"] = [];
let pageInfo: Thread["pageInfo"] = { hasNextPage: false, endCursor: null };

async function ask<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables): Promise<Data> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query: print(document), variables }),
  });
  const { data, errors } = (await response.json()) as { data: Data; errors?: { message: string }[] };
  if (errors) throw new Error(errors.map((error) => error.message).join("\n"));
  return data;
}

async function readFirst(): Promise<LiveCursor> {
  const { post } = await ask(Read, { postId });
  if (!post) throw new Error("There is no such post, or it is not for you.");
  ({ edges, pageInfo } = post.thread);
  say(post.title);
  show(edges, pageInfo.hasNextPage);
  return post.thread.liveCursor;
}

async function readMore() {
  const { post } = await ask(Read, { postId, after: pageInfo.endCursor });
  if (!post) return;
  const known = new Set(edges.map((edge) => edge.node.id));
  // What came live may come once more with its page.
  edges.push(...post.thread.edges.filter((edge) => !known.has(edge.node.id)));
  pageInfo = post.thread.pageInfo;
  show(edges, pageInfo.hasNextPage);
}

async function answer(body: string, number: number | undefined) {
  const parentId = edges.find((edge) => edge.node.number === number)?.node.id;
  if (number && !parentId) return say(`#${number} is not loaded`);
  // Should the answer to this get lost, the same key makes it safe to send it again.
  const input = { postId, parentId, body, clientMutationId: randomUUID() };
  for (const refusal of (await ask(Answer, { input })).addComment.errors) say(`refused: ${reason(refusal)}`);
}

/** Each type of refusal has its own data; one that only a newer server knows has its message all the same. */
function reason(refusal: Refusal): string {
  switch (refusal.__typename) {
    case "ValidationError":
      return refusal.limit === null ? refusal.message : `${refusal.message} (${refusal.actual} of ${refusal.limit})`;
    default:
      return refusal.message;
  }
}

function add({ comment, position }: Added) {
  if (!comment || !position) return; // gone by now: the event that says so is on its way
  const rows = edges.map(({ node, depth }) => ({ id: node.id, depth }));
  const place = placeOf(rows, comment.id, position, pageInfo.hasNextPage);
  if (place === null) return;
  if ("insertAt" in place) {
    edges.splice(place.insertAt, 0, { __typename: "ThreadEdge", depth: position.depth, node: comment, more: null });
  } else {
    const edge = edges[place.moreAt];
    edge.more = { __typename: "ThreadGap", count: (edge.more?.count ?? 0) + 1 };
  }
}

function remove(id: string) {
  const index = edges.findIndex((edge) => edge.node.id === id);
  if (index < 0) return;
  tell("-", edges[index].node);
  edges.splice(index, endOfBranch(edges, index) - index);
}

function take(event: Event) {
  switch (event.__typename) {
    case "StreamReady":
      return say("live");
    case "StreamReset":
      say("too long away: reading anew");
      unsubscribe();
      return void begin();
    case "CommentAdded":
      tell("+", event.comment);
      return add(event);
    case "CommentChanged": {
      tell("~", event.comment);
      const edge = edges.find((each) => each.node.id === event.comment?.id);
      if (edge && event.comment) edge.node = event.comment;
      return;
    }
    case "CommentRemoved":
      return remove(event.removedId);
    default:
      return; // a heartbeat, or what only a newer server knows
  }
}

const client = connection({ socketUrl, token, onLost: () => say("connection lost") });
let unsubscribe = () => {};

async function begin() {
  const after = await readFirst();
  unsubscribe = client.subscribe<FollowSubscription>(
    { query: print(Follow), variables: { postId, after } },
    {
      next({ data, errors }) {
        if (errors) say(errors[0].message);
        if (data) take(data.thread);
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
for await (const { body, number } of typed()) await (body ? answer(body, number) : readMore());
show(edges, pageInfo.hasNextPage);
unsubscribe();
