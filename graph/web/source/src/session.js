// Who is signed in here: the token of a `signIn` that went through, for as long as this tab of the browser lives.
import { store } from './store.js';

const KEY = 'palabre:session';

/** {token, name}, or null. */
export const session = store(JSON.parse(sessionStorage.getItem(KEY)));

session.watch(() => {
  const current = session.get();
  if (current) sessionStorage.setItem(KEY, JSON.stringify(current));
  else sessionStorage.removeItem(KEY);
});

export const bearer = (token) => `Bearer ${token}`;

/** An answer may hold a new token, or tell that the session is over. */
export function noticeSession({ data }) {
  const { signIn, signUp, signOut } = data ?? {};
  const begun = signIn ?? signUp;
  if (begun?.token) session.set({ token: begun.token, name: begun.viewer?.user?.handle ?? 'somebody' });
  if (signOut?.sessionId) session.set(null);
}
