/**
 * The connection for everything live, as all of these clients make it: one socket, kept through cuts and restarts.
 */
import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { resuming } from "./resume.js";

const PING_MILLISECONDS = 10_000; // of silence: then ask whether anybody is there
const PONG_MILLISECONDS = 5_000; // without an answer: nobody is
const LONGEST_WAIT_MILLISECONDS = 30_000;
const NORMAL = 1000;
const FORBIDDEN = 4403; // the credentials are no good, and will not get better by waiting

/**
 * @param {object} given
 * @param {string} given.socketUrl like ws://127.0.0.1:8000/graphql
 * @param {string} [given.token]
 * @param {() => void} [given.onLost]
 */
export function connection({ socketUrl, token, onLost }) {
  /** @type {NodeJS.Timeout} */
  let unanswered;
  /** @type {any} */
  let open;
  const client = createClient({
    url: socketUrl,
    webSocketImpl: WebSocket, // a browser, or Node from version 22 on, has one of its own
    connectionParams: token ? { authorization: `Bearer ${token}` } : {},
    keepAlive: PING_MILLISECONDS,
    retryAttempts: Infinity,
    shouldRetry: mayPass,
    retryWait: (retries) => new Promise((resolve) => setTimeout(resolve, waitMilliseconds(retries))),
    on: {
      connected: (socket) => (open = socket),
      closed: (event) => {
        clearTimeout(unanswered);
        if (/** @type {any} */ (event).code !== NORMAL) onLost?.();
      },
      // A network that went away says nothing: only a ping without a pong tells.
      ping: (received) => {
        if (!received) unanswered = setTimeout(giveUp, PONG_MILLISECONDS);
      },
      pong: (received) => {
        if (received) clearTimeout(unanswered);
      },
    },
  });
  function giveUp() {
    client.terminate(); // and connect anew
    open?.terminate?.(); // `ws` would wait half a minute for a goodbye that cannot come
  }
  return resuming(client);
}

/**
 * A refused connection is an event without a code: by itself graphql-ws would give up while the server restarts.
 * An error that was thrown is a defect of this program, and would only be thrown again.
 *
 * @param {any} problem
 */
function mayPass(problem) {
  if (typeof problem.code === "number") return problem.code !== FORBIDDEN; // closed, by the server or by `terminate`
  return !(problem instanceof Error);
}

/**
 * Soon at first, rarely later, and never everybody at once: after a restart all clients come back.
 *
 * @param {number} retries
 */
function waitMilliseconds(retries) {
  return Math.min(100 * 2 ** retries, LONGEST_WAIT_MILLISECONDS) * (0.5 + Math.random());
}
