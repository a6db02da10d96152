// How operations reach the server: requests over HTTP, subscriptions over graphql-transport-ws.
import { getOperationAST, parse } from 'graphql';
import { CloseCode, createClient } from 'graphql-ws';
import { address } from './given.js';
import { live } from './live.js';
import { noticeSession } from './session.js';
import { continuing } from './thread.js';

const JSON_TYPES = 'application/graphql-response+json, application/json;q=0.9';

const SHORTEST_WAIT = 250; // milliseconds until the first attempt to come back
const LONGEST_WAIT = 10_000;

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export function fetcher(given, { headers } = {}) {
  const operation = operationOf(given);
  const request = { ...given, operationName: operation?.name?.value ?? given.operationName };
  return operation?.operation === 'subscription' ? follow(request, operation, headers) : ask(request, headers);
}

/** By the text alone: what the editor says of it is late for a moment when one changes tabs. */
function operationOf({ query, operationName }) {
  try {
    const document = parse(query);
    return getOperationAST(document, operationName) ?? getOperationAST(document);
  } catch {
    return null; // the server says what is wrong with it
  }
}

async function ask(request, headers) {
  const response = await fetch(address, {
    method: 'POST',
    // Who asks is said by the headers editor alone: not by a cookie that this browser happens to have.
    credentials: 'omit',
    headers: { accept: JSON_TYPES, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(request),
  });
  const result = await response.json();
  noticeSession(result);
  return result;
}

/** An observable, as GraphiQL takes it. */
function follow(request, operation, headers) {
  const payload = { ...request };
  const declared = operation.variableDefinitions.map(({ variable }) => variable.name.value);
  return {
    subscribe(sink) {
      live.begin(request.variables);
      const socket = createClient({
        url: address.href.replace(/^http/, 'ws'),
        // Empty means nobody: here too no cookie shall say who asks.
        connectionParams: () => ({ authorization: authorization(headers) ?? '' }),
        retryAttempts: Infinity,
        retryWait: (retries) => wait(Math.min(SHORTEST_WAIT * 2 ** retries, LONGEST_WAIT) * (0.5 + Math.random())),
        shouldRetry: ({ code }) => code !== CloseCode.Forbidden,
        on: { connected: () => live.connected(), closed: () => live.waiting() },
      });
      const stop = socket.subscribe(payload, {
        next(result) {
          // The client sends `payload` again when it comes back: it shall say where this stream stands by then.
          payload.variables = continuing(payload.variables, declared, result);
          live.event(result);
          sink.next(result);
        },
        error(error) {
          live.end();
          sink.error(Array.isArray(error) ? { errors: error } : new Error(error.reason || error.message || 'The connection failed.'));
        },
        complete() {
          live.end();
          sink.complete();
        },
      });
      return {
        unsubscribe() {
          stop();
          socket.dispose();
        },
      };
    },
  };
}

function authorization(headers) {
  const name = Object.keys(headers ?? {}).find((each) => each.toLowerCase() === 'authorization');
  return name && headers[name];
}
