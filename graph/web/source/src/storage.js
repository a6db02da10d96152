// What is written here, which may be a password, lives as long as this tab of the browser, and so do the examples: they
// name things of one database.  Only how the page looks is kept for good.

const LOOKS = /:(theme|\w+Flex)$/;
const place = (name) => (LOOKS.test(name) ? localStorage : sessionStorage);
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
