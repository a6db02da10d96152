/**
 * Where a new comment goes among the rows that are loaded: the rule that the schema tells at `ThreadPosition`.
 *
 * @typedef {object} Row
 * @property {string} id
 * @property {number} depth
 *
 * @typedef {object} Position
 * @property {readonly string[]} ancestorIds
 * @property {number} depth
 * @property {string | null} [previousSiblingId]
 *
 * @typedef {{ insertAt: number } | { moreAt: number } | null} Place
 *   insert a row at this index; or add 1 to `more.count` of the row at this index; or do nothing: it is there
 *   already, or what is loaded later brings it
 */

const LEVELS = 8; // `maxDepth` of the shape that is asked for

/**
 * @param {readonly Row[]} rows
 * @param {string} id
 * @param {Position} position
 * @param {boolean} hasNextPage
 * @returns {Place}
 */
export function placeOf(rows, id, position, hasNextPage) {
  const indexOf = (/** @type {string} */ wanted) => rows.findIndex((row) => row.id === wanted);
  if (indexOf(id) >= 0) return null;
  if (position.depth < LEVELS) {
    const { previousSiblingId, ancestorIds } = position;
    if (previousSiblingId == null) {
      const parent = ancestorIds.at(-1);
      if (parent === undefined) return { insertAt: 0 };
      if (indexOf(parent) >= 0) return { insertAt: indexOf(parent) + 1 };
    } else if (indexOf(previousSiblingId) >= 0) {
      const end = endOfBranch(rows, indexOf(previousSiblingId));
      return end === rows.length && hasNextPage ? null : { insertAt: end };
    }
  }
  const nearest = position.ancestorIds.map(indexOf).findLast((index) => index >= 0);
  return nearest === undefined ? null : { moreAt: nearest };
}

/**
 * The index behind the last row of the branch that begins at `start`.
 *
 * @param {readonly { depth: number }[]} rows
 * @param {number} start
 */
export function endOfBranch(rows, start) {
  let end = start + 1;
  while (end < rows.length && rows[end].depth > rows[start].depth) end++;
  return end;
}
