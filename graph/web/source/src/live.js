// What a running subscription has told so far: a thread that grows, or the events as they came.
import { store } from './store.js';

const KEPT = 200; // lines
const NO_NEWS = ['StreamReady', 'StreamHeartbeat']; // they tell where the stream stands

/** {state: 'waiting' | 'connected' | 'ended', events, lines: [{id, depth, name, text, isNew, isGone}]}, or null. */
export const stream = store(null);

const change = (values) => stream.set({ ...stream.get(), ...values });

export const live = {
  begin: () => stream.set({ state: 'waiting', events: 0, lines: [] }),
  connected: () => change({ state: 'connected' }),
  waiting: () => stream.get()?.state === 'connected' && change({ state: 'waiting' }),
  end: () => change({ state: 'ended' }),

  event(result) {
    const { events, lines } = stream.get();
    const [event] = Object.values(result.data ?? {});
    if (!event || NO_NEWS.includes(event.__typename)) return;
    change({ events: events + 1, lines: withEvent(lines, event).slice(-KEPT) });
  },
};

function withEvent(lines, event) {
  if (event.post?.thread?.edges) return event.post.thread.edges.map(({ depth, node }) => line(node, depth));
  if (event.removedId) return marked(lines, event.removedId, { isGone: true });
  if (event.comment && lines.some(({ id }) => id === event.comment.id)) {
    return marked(lines, event.comment.id, { ...line(event.comment), isNew: true });
  }
  if (event.comment) return inserted(lines, event.comment, event.position);
  return lines;
}

const line = (comment, depth) => ({
  id: comment.id,
  name: comment.byline?.author?.displayName ?? '',
  text: comment.bodyText ?? comment.body ?? (comment.status === 'DELETED' ? '(deleted)' : ''),
  ...(depth === undefined ? {} : { depth }),
});

const marked = (lines, wanted, values) =>
  lines.map((each) => (each.id === wanted ? { ...each, ...values } : each));

/** Below its parent, after the whole branch of the reply before it; at the end where neither is shown. */
function inserted(lines, comment, position) {
  const depth = position?.depth ?? position?.ancestorIds?.length ?? 0;
  const added = { ...line(comment, depth), isNew: true };
  const before = lines.findIndex(({ id }) => id === position?.previousSiblingId);
  const parent = lines.findIndex(({ id }) => id === position?.ancestorIds?.at(-1));
  let place = lines.length;
  if (before >= 0) {
    place = before + 1;
    while (place < lines.length && lines[place].depth > depth) place += 1;
  } else if (parent >= 0) {
    place = parent + 1;
  }
  return [...lines.slice(0, place), added, ...lines.slice(place)];
}
