/**
 * What these programs share and no client needs: where the server is, lines on the screen, lines from the keyboard.
 *
 * @typedef {object} Comment
 * @property {string} id
 * @property {number} number
 * @property {string | null} [bodyText]
 * @property {{ readonly author?: { readonly displayName: string } | null }} byline
 *
 * @typedef {object} Edge
 * @property {number} depth
 * @property {Comment} node
 * @property {{ readonly count: number } | null} [more]
 */
import { createInterface } from "node:readline";

export function given() {
  const [address, postId, token] = process.argv.slice(2);
  if (!address || !postId) {
    console.error("Tell the server, the post and a token to write with: http://127.0.0.1:8000 UG9zdDox TOKEN");
    process.exit(2);
  }
  const url = `${address}/graphql`;
  return { url, socketUrl: url.replace(/^http/, "ws"), postId, token };
}

/** @param {string} what */
export function say(what) {
  console.log(`* ${what}`);
}

/** @param {Comment | null | undefined} comment null where it is gone by now */
function words(comment) {
  if (!comment) return "(gone by now)";
  const text = comment.bodyText ?? "(deleted)";
  return `#${comment.number} ${comment.byline.author?.displayName ?? "nobody"}: ${text.replaceAll(/\s+/g, " ")}`;
}

/**
 * @param {"+" | "~" | "-"} sign
 * @param {Comment | null | undefined} comment
 */
export function tell(sign, comment) {
  console.log(sign === "-" ? `- #${comment?.number}` : `${sign} ${words(comment)}`);
}

/**
 * @param {readonly Edge[]} edges
 * @param {boolean} hasNextPage
 */
export function show(edges, hasNextPage) {
  for (const { depth, node, more } of edges) {
    console.log(`${"  ".repeat(depth + 1)}${words(node)}${more ? ` (+${more.count})` : ""}`);
  }
  say(hasNextPage ? `${edges.length} rows; an empty line brings more` : `${edges.length} rows, and that is all`);
}

/**
 * What is typed until the input ends: an empty line, a comment, or `#12 a reply to number 12`.
 *
 * @returns {AsyncGenerator<{ body: string, number: number | undefined }>}
 */
export async function* typed() {
  for await (const line of createInterface({ input: process.stdin })) {
    const [, number, body] = /^(?:#(\d+) )?(.*)$/.exec(line) ?? [];
    yield { body, number: number ? Number(number) : undefined };
  }
}
