// At the top: who is signed in, and how to end it.  The headers editor always shows what is sent.
import { useGraphiQL } from '@graphiql/react';
import { useEffect, useRef } from 'react';
import { fetcher } from './fetcher.js';
import { bearer, session } from './session.js';
import { useStored } from './store.js';

const SIGN_OUT = 'mutation { signOut(input: {}) { sessionId errors { message } } }';

export function Account() {
  const current = useStored(session);
  useHeaders(current);
  if (!current) return <span className="account">Signed in as nobody</span>;
  return (
    <span className="account">
      Signed in as <b>@{current.name}</b>
      <button type="button" className="sign-out" onClick={() => signOut(current)}>
        Sign out
      </button>
    </span>
  );
}

async function signOut({ token }) {
  session.set(null); // here it is over, whatever the server says
  await fetcher({ query: SIGN_OUT }, { headers: { Authorization: bearer(token) } });
}

/** Keeps the session's header in the editor of the tab in front; what else stands there is the person's own. */
function useHeaders(current) {
  const { editor, tab } = useGraphiQL((state) => ({ editor: state.headerEditor, tab: state.activeTabIndex }));
  const former = useRef(null);
  useEffect(() => {
    if (!editor) return;
    const headers = parsed(editor.getValue());
    if (!headers) return;
    const wanted = current && bearer(current.token);
    const isOurs = !headers.Authorization || former.current.has(headers.Authorization);
    if (isOurs && headers.Authorization !== (wanted ?? undefined)) {
      const { Authorization, ...others } = headers;
      editor.setValue(shown(wanted ? { ...others, Authorization: wanted } : others));
    }
    if (wanted) former.current.add(wanted);
  }, [current, editor, tab]);
  former.current ??= new Set();
}

function parsed(text) {
  try {
    return JSON.parse(text.trim() || '{}');
  } catch {
    return null; // half-written, or with comments: not to be touched
  }
}

const shown = (headers) => (Object.keys(headers).length ? JSON.stringify(headers, null, 2) : '');
