/**
 * urql: a query per page, a normalised cache (graphcache) below them, and events that are worked into both.
 *
 *     node --import tsx urql/main.ts http://127.0.0.1:8000 UG9zdDox TOKEN
 */
import { randomUUID } from "node:crypto";

import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import type { Cache } from "@urql/exchange-graphcache";

import { Answer, Follow, Read } from "../documents.js";
import type { FollowSubscription, ReadQuery } from "../generated/graphql.js";
import introspection from "../generated/introspection.js";
import { endOfBranch, placeOf } from "../place.js";
import type { Cursor } from "../scalars.js";
import { connection } from "../socket.js";
import { given, say, show, tell, typed } from "../terminal.js";

type Event = FollowSubscription["thread"];
type Added = Extract<Event, { __typename: "CommentAdded" }>;
type Thread = NonNullable<ReadQuery["post"]>["thread"];
type Edge = Thread["edges"][number];

const { url, socketUrl, postId, token } = given();
const live = connection({ socketUrl, token, onLost: () => say("connection lost") });
const pages: (Cursor | null)[] = []; // the `after` of each that is loaded

const part = () => null; // of what holds it: these have no id of their own
const client = new Client({
  url,
  preferGetMethod: false,
  fetchOptions: { headers: token ? { authorization: `Bearer ${token}` } : {} },
  exchanges: [
    cacheExchange({
      schema: introspection, // with it, it knows which fragments match what
      keys: {
        Byline: part,
        DiscussionCounts: part,
        ThreadGap: part,
        ThreadPosition: part,
        StreamReady: part,
        StreamHeartbeat: part,
        StreamReset: part,
        CommentAdded: part,
        CommentChanged: part,
        CommentRemoved: part,
        PostChanged: part,
      },
      updates: {
        Subscription: {
          // Entities are up to date already when this is called.
          thread(result: FollowSubscription, _, cache) {
            if (result.thread.__typename === "CommentAdded") add(result.thread, cache);
            if (result.thread.__typename === "CommentRemoved") remove(result.thread.removedId, cache);
          },
        },
      },
    }),
    fetchExchange,
    subscriptionExchange({
      // The socket comes back by itself and renews `after`: see ../socket.js and ../resume.js.
      forwardSubscription: ({ query = "", variables }) => ({
        subscribe: (sink) => ({ unsubscribe: live.subscribe({ query, variables: variables ?? {} }, sink) }),
      }),
    }),
  ],
});

/** What came live may come once more with its page: the first of each counts. */
function joined(threads: (Thread | undefined)[]) {
  const known = new Set<string>();
  const isNew = (edge: Edge) => !known.has(edge.node.id) && known.add(edge.node.id);
  const edges = threads.flatMap((thread, page) => (thread?.edges ?? []).filter(isNew).map((edge) => ({ ...edge, page })));
  return { edges, pageInfo: threads.at(-1)?.pageInfo };
}

const cached = () => joined(pages.map((after) => client.readQuery(Read, { postId, after })?.data?.post?.thread));
const within = (cache: Cache) =>
  joined(pages.map((after) => cache.readQuery({ query: Read, variables: { postId, after } })?.post?.thread));

function changePage(cache: Cache, page: number, change: (edges: Edge[]) => Edge[]) {
  cache.updateQuery({ query: Read, variables: { postId, after: pages[page] ?? null } }, (data) => {
    if (!data?.post) return data;
    const { thread } = data.post;
    return { ...data, post: { ...data.post, thread: { ...thread, edges: change(thread.edges) } } };
  });
}

function add({ comment, position }: Added, cache: Cache) {
  if (!comment || !position) return; // gone by now: the event that says so is on its way
  const { edges, pageInfo } = within(cache);
  const rows = edges.map(({ node, depth }) => ({ id: node.id, depth }));
  const place = placeOf(rows, comment.id, position, pageInfo?.hasNextPage ?? false);
  if (place === null) return;
  if ("insertAt" in place) {
    const edge = { __typename: "ThreadEdge" as const, depth: position.depth, node: comment, more: null };
    const before = edges[place.insertAt - 1];
    changePage(cache, before?.page ?? 0, (those) => those.toSpliced(indexOf(those, before?.node.id) + 1, 0, edge));
  } else {
    const { node, page, more } = edges[place.moreAt];
    const gap = { __typename: "ThreadGap" as const, count: (more?.count ?? 0) + 1 };
    changePage(cache, page, (those) => those.map((edge) => (edge.node.id === node.id ? { ...edge, more: gap } : edge)));
  }
}

const indexOf = (edges: Edge[], id: string | undefined) => edges.findIndex((edge) => edge.node.id === id);

function remove(id: string, cache: Cache) {
  const { edges } = within(cache);
  const index = indexOf(edges, id);
  if (index < 0) return;
  tell("-", edges[index].node);
  const gone = new Set(edges.slice(index, endOfBranch(edges, index)).map((edge) => edge.node.id));
  for (const page of pages.keys()) changePage(cache, page, (those) => those.filter((edge) => !gone.has(edge.node.id)));
}

function showAll() {
  const { edges, pageInfo } = cached();
  show(edges, pageInfo?.hasNextPage ?? false);
}

async function read(after: Cursor | null = null): Promise<Thread> {
  const { data, error } = await client.query(Read, { postId, after }, { requestPolicy: "network-only" });
  if (error) throw error;
  if (!data?.post) throw new Error("There is no such post, or it is not for you.");
  if (!after) {
    pages.length = 0;
    say(data.post.title);
  }
  if (!pages.includes(after)) pages.push(after);
  showAll();
  return data.post.thread;
}

async function answer(body: string, number: number | undefined) {
  const parentId = cached().edges.find((edge) => edge.node.number === number)?.node.id;
  if (number && !parentId) return say(`#${number} is not loaded`);
  // Should the answer to this get lost, the same key makes it safe to send it again.
  const input = { postId, parentId, body, clientMutationId: randomUUID() };
  const { data, error } = await client.mutation(Answer, { input });
  if (error) throw error;
  for (const refused of data?.addComment.errors ?? []) say(`refused: ${refused.message}`);
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
      return tell("+", event.comment);
    case "CommentChanged":
      return tell("~", event.comment);
    default:
      return; // a removal is told above; a heartbeat, or what only a newer server knows
  }
}

let following: { unsubscribe(): void };

async function begin() {
  const { liveCursor } = await read();
  following = client.subscription(Follow, { postId, after: liveCursor }).subscribe(({ data, error }) => {
    if (error) {
      console.error(error);
      process.exit(1);
    }
    if (data) take(data.thread);
  });
}

await begin();
for await (const { body, number } of typed()) await (body ? answer(body, number) : read(cached().pageInfo?.endCursor));
showAll();
following!.unsubscribe();
