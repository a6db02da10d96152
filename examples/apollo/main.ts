/**
 * Apollo Client: the thread lives in the normalised cache; events bring entities up to date by themselves, and only
 * new rows have to be put into their place.
 *
 *     node --import tsx apollo/main.ts http://127.0.0.1:8000 UG9zdDox TOKEN
 */
import { randomUUID } from "node:crypto";

import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from "@apollo/client";
import type { FieldMergeFunction, Reference, StoreObject } from "@apollo/client";
import { RetryLink } from "@apollo/client/link/retry";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { OperationTypeNode } from "graphql";

import { Answer, Follow, Read } from "../documents.js";
import type { FollowSubscription, ReadQuery } from "../generated/graphql.js";
import matching from "../generated/possibleTypes.js";
import { endOfBranch, placeOf } from "../place.js";
import { connection } from "../socket.js";
import { given, say, show, tell, typed } from "../terminal.js";

type Event = FollowSubscription["thread"];
type Added = Extract<Event, { __typename: "CommentAdded" }>;
type Thread = NonNullable<ReadQuery["post"]>["thread"];
type StoredThread = { edges: (StoreObject & { node: Reference })[] };

const { url, socketUrl, postId, token } = given();

/** A page after another is put behind it; without `after` the thread is read anew. */
const pages: FieldMergeFunction<StoredThread> = (existing, incoming, { args }) => {
  if (!existing || !args?.after) return incoming;
  const known = new Set(existing.edges.map((edge) => edge.node.__ref));
  // What came live may come once more with its page.
  return { ...incoming, edges: [...existing.edges, ...incoming.edges.filter((edge) => !known.has(edge.node.__ref))] };
};

const client = new ApolloClient({
  cache: new InMemoryCache({
    ...matching, // which type implements what, for fragments on interfaces
    typePolicies: {
      Post: { fields: { thread: { keyArgs: ["sort", "shape", "focus"], merge: pages } } },
      // These have no id of their own: what operations select of them is put together.
      Byline: { merge: true },
      DiscussionCounts: { merge: true },
    },
  }),
  link: ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    // It comes back by itself and renews `after`: see ../socket.js and ../resume.js.
    new GraphQLWsLink(connection({ socketUrl, token, onLost: () => say("connection lost") })),
    // Mutations may be sent again too: `clientMutationId` makes them happen once.
    ApolloLink.from([
      new RetryLink(),
      new HttpLink({ uri: url, headers: token ? { authorization: `Bearer ${token}` } : {} }),
    ]),
  ),
});

const cached = () => client.readQuery({ query: Read, variables: { postId } })?.post?.thread;

function showAll() {
  const thread = cached();
  if (thread) show(thread.edges, thread.pageInfo.hasNextPage);
}

async function read(after?: Thread["pageInfo"]["endCursor"]): Promise<Thread> {
  const variables = after ? { postId, after } : { postId };
  const { data } = await client.query({ query: Read, variables, fetchPolicy: "network-only" });
  if (!data?.post) throw new Error("There is no such post, or it is not for you.");
  if (!after) say(data.post.title);
  showAll();
  return data.post.thread;
}

async function answer(body: string, number: number | undefined) {
  const parentId = cached()?.edges.find((edge) => edge.node.number === number)?.node.id;
  if (number && !parentId) return say(`#${number} is not loaded`);
  const input = { postId, parentId, body, clientMutationId: randomUUID() };
  const { data } = await client.mutate({ mutation: Answer, variables: { input } });
  for (const error of data?.addComment.errors ?? []) say(`refused: ${error.message}`);
}

function changeEdges(change: (thread: Thread) => Thread["edges"]) {
  client.cache.updateQuery({ query: Read, variables: { postId } }, (data) => {
    if (!data?.post) return undefined;
    const thread = { ...data.post.thread, edges: change(data.post.thread) };
    return { ...data, post: { ...data.post, thread } };
  });
}

function add({ comment, position }: Added) {
  if (!comment || !position) return; // gone by now: the event that says so is on its way
  changeEdges(({ edges, pageInfo }) => {
    const rows = edges.map(({ node, depth }) => ({ id: node.id, depth }));
    const place = placeOf(rows, comment.id, position, pageInfo.hasNextPage);
    if (place === null) return edges;
    if ("insertAt" in place) {
      const edge = { __typename: "ThreadEdge" as const, depth: position.depth, node: comment, more: null };
      return edges.toSpliced(place.insertAt, 0, edge);
    }
    const edge = edges[place.moreAt];
    const more = { __typename: "ThreadGap" as const, count: (edge.more?.count ?? 0) + 1 };
    return edges.with(place.moreAt, { ...edge, more });
  });
}

function remove(id: string) {
  changeEdges(({ edges }) => {
    const index = edges.findIndex((edge) => edge.node.id === id);
    if (index < 0) return edges;
    tell("-", edges[index].node);
    return edges.toSpliced(index, endOfBranch(edges, index) - index);
  });
}

function take(event: Event) {
  switch (event.__typename) {
    case "StreamReady":
      return say("live");
    case "StreamReset":
      say("too long away: reading anew");
      following.unsubscribe();
      return void begin();
    case "CommentAdded":
      tell("+", event.comment);
      return add(event);
    case "CommentChanged":
      return tell("~", event.comment); // the cache has it already, and so has whatever shows it
    case "CommentRemoved":
      return remove(event.removedId);
    default:
      return; // a heartbeat, or what only a newer server knows
  }
}

let following: { unsubscribe(): void };

async function begin() {
  const { liveCursor } = await read();
  following = client.subscribe({ query: Follow, variables: { postId, after: liveCursor } }).subscribe({
    next({ data, error }) {
      if (error) say(error.message);
      if (data) take(data.thread);
    },
    error(problem) {
      console.error(problem);
      process.exit(1);
    },
    complete: () => say("the stream has ended"),
  });
}

await begin();
for await (const { body, number } of typed()) await (body ? answer(body, number) : read(cached()?.pageInfo.endCursor));
showAll();
following!.unsubscribe();
