// Tabs and what is written in them live as long as this tab of the browser: their examples name things of one database.
// The rest (the theme, what is open, the history) is kept for good.

const PASSING = ['tabState', 'query', 'variables', 'headers'];
const place = (name) => (PASSING.some((each) => name.endsWith(`:${each}`)) ? sessionStorage : localStorage);
const key = (name) => `palabre:${name}`;

export const storage = {
  getItem: (name) => place(name).getItem(key(name)),
  setItem: (name, value) => place(name).setItem(key(name), value),
  removeItem: (name) => place(name).removeItem(key(name)),
  clear: () => [localStorage, sessionStorage].forEach((each) => each.clear()),
  get length() {
    return localStorage.length + sessionStorage.length;
  },
};
