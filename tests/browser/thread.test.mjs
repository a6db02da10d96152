// What the page makes of the events of a stream: each reply stands where the server says that it belongs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { continuing, withEvent } from '../../graph/web/source/src/thread.js';

const comment = (id, text = id) => ({
  id,
  bodyText: text,
  status: 'PUBLISHED',
  byline: { author: { displayName: 'Ada' } },
});
const SNAPSHOT = {
  post: {
    thread: { edges: [['a', 0], ['b', 1], ['c', 2], ['d', 0]].map(([id, depth]) => ({ depth, node: comment(id) })) },
  },
};
const thread = withEvent([], SNAPSHOT);
const places = (lines) => lines.map(({ id, depth }) => `${id}${depth}`).join(' ');
const added = (id, ancestorIds, previousSiblingId = null) => ({
  comment: comment(id),
  position: { ancestorIds, depth: ancestorIds.length, previousSiblingId },
});

test('a snapshot is the thread as it is', () => {
  assert.equal(places(thread), 'a0 b1 c2 d0');
  assert.deepEqual(thread[0], { id: 'a', depth: 0, name: 'Ada', text: 'a' });
});

test('a first reply stands below what it answers', () => {
  assert.equal(places(withEvent(thread, added('x', ['a', 'b', 'c']))), 'a0 b1 c2 x3 d0');
});

test('a later reply stands below the whole branch of the one before it', () => {
  assert.equal(places(withEvent(thread, added('x', ['a'], 'b'))), 'a0 b1 c2 x1 d0');
  assert.equal(places(withEvent(thread, added('x', [], 'a'))), 'a0 b1 c2 x0 d0');
});

test('a reply to what is not shown stands at the end', () => {
  assert.equal(places(withEvent(thread, added('x', ['elsewhere']))), 'a0 b1 c2 d0 x1');
});

test('a reply that comes twice, or was changed, keeps its place', () => {
  const [, changed] = withEvent(thread, { comment: comment('b', 'anew') });
  assert.deepEqual(changed, { id: 'b', depth: 1, name: 'Ada', text: 'anew', isNew: true });
  assert.equal(places(withEvent(thread, added('b', ['a']))), places(thread));
});

test('a reply that was taken away is shown to be gone', () => {
  assert.deepEqual(
    withEvent(thread, { removedId: 'c' }).map(({ isGone = false }) => isGone),
    [false, false, true, false],
  );
});

test('a stream goes on after what was last seen, without beginning anew, where its operation can', () => {
  const event = { data: { thread: { cursor: 'two' } } };
  const variables = { post: 'p', after: 'one' };
  assert.deepEqual(continuing(variables, ['post', 'after'], event), { post: 'p', after: 'two' });
  assert.deepEqual(continuing({}, ['after', 'snapshot'], event), { after: 'two', snapshot: false });
  assert.equal(continuing(variables, ['post'], event), variables);
  assert.equal(continuing(variables, ['after'], { errors: [] }), variables);
});
