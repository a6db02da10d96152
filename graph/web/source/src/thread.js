// A thread as lines, and what becomes of them with each event of a subscription.

/** The lines [{id, depth, name, text, isNew, isGone}] as they are after this event. */
export function withEvent(lines, event) {
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

/** The variables with which to go on after `result`, where the operation declares that it can. */
export function continuing(variables, declared, result) {
  const cursor = Object.values(result.data ?? {})[0]?.cursor;
  if (!cursor || !declared.includes('after')) return variables;
  return { ...variables, after: cursor, ...(declared.includes('snapshot') ? { snapshot: false } : {}) };
}
