/**
 * The few lines that make a live stream lose nothing: when the connection comes back, go on from the last cursor.
 *
 * graphql-ws's client subscribes again by itself, but with the variables of the first time: with the old `after`, and
 * everything since then would come twice; without one, what happened meanwhile would never come.  It makes its message
 * anew at each attempt, though, so variables that are looked up at that moment are always the right ones.
 *
 * Apollo's GraphQLWsLink, urql's subscriptionExchange and Relay's network all call `client.subscribe`, so what is
 * mended here is mended for them too.  What it asks of a subscription: a variable `$after`, given to its field, and
 * `cursor` selected there.
 *
 * @param {import("graphql-ws").Client} client
 * @returns {import("graphql-ws").Client}
 */
export function resuming(client) {
  return {
    ...client,
    iterate() {
      throw new Error("Only `subscribe` goes on from the last cursor.");
    },
    subscribe(payload, sink) {
      let after = payload.variables?.after;
      const renewed = {
        ...payload,
        get variables() {
          return { ...payload.variables, after };
        },
      };
      return client.subscribe(renewed, {
        error: (problem) => sink.error(problem),
        complete: () => sink.complete(),
        next(result) {
          sink.next(/** @type {any} */ (result));
          // Only now: what could not be taken would be asked for again.
          after = cursorIn(result.data) ?? after;
        },
      });
    },
  };
}

/** @param {Record<string, any> | null | undefined} data */
function cursorIn(data) {
  const [event] = Object.values(data ?? {});
  return event?.cursor;
}
