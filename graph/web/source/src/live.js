// What a running subscription has told so far: a thread that grows, or the events as they came.
import { store } from './store.js';
import { withEvent } from './thread.js';

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
