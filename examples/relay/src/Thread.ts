/**
 * Relay: the thread is a connection in its store, paged by what the compiler makes of `@refetchable`, and events put
 * new rows into it.
 *
 *     node --import tsx relay/build/Thread.js http://127.0.0.1:8000 UG9zdDox TOKEN
 *
 * relay-compiler has read the operations, and Babel has put its results in their place: `npm run generate`.
 */
import { randomUUID } from "node:crypto";

import relay from "relay-runtime";
import type { Disposable, RecordProxy, RecordSourceSelectorProxy } from "relay-runtime";

import { endOfBranch, placeOf } from "../../place.js";
import type { Cursor } from "../../scalars.js";
import { connection } from "../../socket.js";
import { given, say, show, tell, typed } from "../../terminal.js";
import type { ThreadAnswerMutation } from "./__generated__/ThreadAnswerMutation.graphql";
import type { ThreadFollowSubscription } from "./__generated__/ThreadFollowSubscription.graphql";
import ThreadPaginationQuery from "./__generated__/ThreadPaginationQuery.graphql";
import type { ThreadReadQuery } from "./__generated__/ThreadReadQuery.graphql";
import type { Thread_post$data } from "./__generated__/Thread_post.graphql";

const { ConnectionHandler, Environment, Network, Observable, RecordSource, Store, commitMutation, fetchQuery, graphql } =
  relay;

const Post = graphql`
  fragment Thread_post on Post
  @refetchable(queryName: "ThreadPaginationQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, after: { type: "Cursor" }) {
    thread(first: $count, after: $after) @connection(key: "Thread_thread") {
      edges {
        depth
        node {
          ...Thread_row @relay(mask: false)
        }
        more {
          count
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`;
graphql`
  fragment Thread_row on Comment {
    id
    number
    bodyText
    byline {
      author {
        displayName
      }
    }
  }
`;
const Read = graphql`
  query ThreadReadQuery($postId: ID!) {
    post(id: $postId) {
      title
      # Beside the connection: what the store keeps of that is of the first time for ever.
      now: thread(first: 0) {
        liveCursor
      }
      ...Thread_post
    }
  }
`;
const Answer = graphql`
  mutation ThreadAnswerMutation($input: AddCommentInput!) {
    addComment(input: $input) {
      comment {
        id
      }
      errors {
        message
        path
        code
      }
    }
  }
`;
const Follow = graphql`
  subscription ThreadFollowSubscription($postId: ID!, $after: LiveCursor) {
    thread(postId: $postId, after: $after) {
      __typename
      cursor
      ... on CommentAdded {
        comment {
          ...Thread_row @relay(mask: false)
        }
        position {
          depth
          ancestorIds
          previousSiblingId
        }
        post {
          counts {
            comments
          }
        }
      }
      ... on CommentChanged {
        comment {
          ...Thread_row @relay(mask: false)
        }
      }
      ... on CommentRemoved {
        removedId
      }
      ... on PostChanged {
        post {
          title
        }
      }
    }
  }
`;

const { url, socketUrl, postId, token } = given();
// It comes back by itself and renews `after`: see ../../socket.js and ../../resume.js.
const live = connection({ socketUrl, token, onLost: () => say("connection lost") });
const environment = new Environment({
  store: new Store(new RecordSource()),
  network: Network.create(
    async ({ text }, variables) => {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
        body: JSON.stringify({ query: text, variables }),
      });
      return response.json();
    },
    ({ text }, variables) => Observable.create((sink) => live.subscribe({ query: text ?? "", variables }, sink as never)),
  ),
});

// One type with what any event may have: Relay tells events apart only where they share no field, and they share `cursor`.
type Event = ThreadFollowSubscription["response"]["thread"];
type Thread = Thread_post$data["thread"];

const reading = relay.createOperationDescriptor(relay.getRequest(Read), { postId });
environment.retain(reading); // as a component does that shows it

function cached(): Thread | undefined {
  const { post } = environment.lookup(reading.fragment).data as ThreadReadQuery["response"];
  const selector = relay.getSingularSelector(relay.getFragment(Post), post);
  return selector ? (environment.lookup(selector).data as Thread_post$data).thread : undefined;
}

function showAll() {
  const thread = cached();
  if (thread) show(thread.edges, thread.pageInfo.hasNextPage);
}

async function readFirst() {
  const data = await fetchQuery<ThreadReadQuery>(environment, Read, { postId }).toPromise();
  if (!data?.post) throw new Error("There is no such post, or it is not for you.");
  say(data.post.title);
  showAll();
  return data.post.now.liveCursor;
}

async function readMore(after: Cursor | null | undefined) {
  await fetchQuery(environment, ThreadPaginationQuery, { id: postId, after }).toPromise();
  showAll();
}

async function answer(body: string, number: number | undefined) {
  const parentId = cached()?.edges.find((edge) => edge.node.number === number)?.node.id;
  if (number && !parentId) return say(`#${number} is not loaded`);
  // Should the answer to this get lost, the same key makes it safe to send it again.
  const variables = { input: { postId, parentId, body, clientMutationId: randomUUID() } };
  const { addComment } = await new Promise<ThreadAnswerMutation["response"]>((onCompleted, onError) =>
    commitMutation<ThreadAnswerMutation>(environment, { mutation: Answer, variables, onCompleted, onError }),
  );
  for (const error of addComment.errors) say(`refused: ${error.message}`);
}

/** Entities are up to date already when this is called; what is left to do is their place. */
function place(store: RecordSourceSelectorProxy, event: Event) {
  const thread = ConnectionHandler.getConnection(store.get(postId)!, "Thread_thread");
  if (!thread) return;
  if (event.__typename === "CommentAdded") add(store, thread, event);
  if (event.__typename === "CommentRemoved") remove(thread, event.removedId!);
}

const edgesOf = (thread: RecordProxy) => thread.getLinkedRecords("edges") ?? [];
const rowsOf = (edges: readonly RecordProxy[]) =>
  edges.map((edge) => ({
    id: String(edge.getLinkedRecord("node")?.getDataID()),
    depth: Number(edge.getValue("depth")),
  }));

function add(store: RecordSourceSelectorProxy, thread: RecordProxy, { comment, position }: Event) {
  if (!comment || !position) return; // gone by now: the event that says so is on its way
  const edges = edgesOf(thread);
  const hasNextPage = Boolean(thread.getLinkedRecord("pageInfo")?.getValue("hasNextPage"));
  const found = placeOf(rowsOf(edges), comment.id, position, hasNextPage);
  if (found === null) return;
  if ("insertAt" in found) {
    const edge = ConnectionHandler.createEdge(store, thread, store.get(comment.id)!, "ThreadEdge");
    edge.setValue(position.depth, "depth").setValue(null, "more");
    thread.setLinkedRecords(edges.toSpliced(found.insertAt, 0, edge), "edges");
  } else {
    const gap = edges[found.moreAt].getOrCreateLinkedRecord("more", "ThreadGap");
    gap.setValue(Number(gap.getValue("count") ?? 0) + 1, "count");
  }
}

function remove(thread: RecordProxy, id: string) {
  const edges = edgesOf(thread);
  const rows = rowsOf(edges);
  const index = rows.findIndex((row) => row.id === id);
  if (index < 0) return;
  tell("-", cached()?.edges[index].node);
  thread.setLinkedRecords(edges.toSpliced(index, endOfBranch(rows, index) - index), "edges");
}

function take(event: Event) {
  switch (event.__typename) {
    case "StreamReady":
      return say("live");
    case "StreamReset":
      say("too long away: reading anew");
      following.dispose();
      return void begin();
    case "CommentAdded":
      return tell("+", event.comment);
    case "CommentChanged":
      return tell("~", event.comment);
    default:
      return; // a removal is told above; a heartbeat, or what only a newer server knows
  }
}

let following: Disposable;

async function begin() {
  const after = await readFirst();
  following = relay.requestSubscription<ThreadFollowSubscription>(environment, {
    subscription: Follow,
    variables: { postId, after },
    updater: (store, data) => data && place(store, data.thread),
    onNext: (data) => data && take(data.thread),
    onError(problem) {
      console.error(problem);
      process.exit(1);
    },
    onCompleted: () => say("the stream has ended"),
  });
}

await begin();
for await (const { body, number } of typed()) {
  await (body ? answer(body, number) : readMore(cached()?.pageInfo.endCursor));
}
showAll();
following!.dispose();
