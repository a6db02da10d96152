// A value that components watch.
import { useSyncExternalStore } from 'react';

export function store(value) {
  const watchers = new Set();
  return {
    get: () => value,
    set(next) {
      value = next;
      watchers.forEach((watcher) => watcher());
    },
    watch(watcher) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  };
}

export const useStored = (stored) => useSyncExternalStore(stored.watch, stored.get);
