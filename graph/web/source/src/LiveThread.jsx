// Under the answer: the thread of a running subscription, as it grows.
import { useEffect, useRef } from 'react';
import { stream } from './live.js';
import { useStored } from './store.js';

const STATES = { waiting: 'connecting', connected: 'live', ended: 'ended' };

export function LiveThread() {
  const current = useStored(stream);
  const list = useRef(null);
  useEffect(() => {
    list.current?.querySelector('.newest')?.scrollIntoView({ block: 'nearest' });
  }, [current]);
  if (!current) return null;
  const newest = current.lines.findLastIndex(({ isNew }) => isNew);
  return (
    <section className="live" aria-label="Live">
      <p role="status" className={`state ${current.state}`}>
        {STATES[current.state]}{' '}
        <span className="events">{current.events === 1 ? '1 event' : `${current.events} events`}</span>
      </p>
      <ol ref={list}>
        {current.lines.map(({ id, depth, name, text, isNew, isGone }, index) => (
          <li
            key={id}
            className={[isNew && 'new', isGone && 'gone', index === newest && 'newest'].filter(Boolean).join(' ')}
            style={{ '--depth': depth }}
          >
            <b>{name}</b> {text}
          </li>
        ))}
      </ol>
    </section>
  );
}
