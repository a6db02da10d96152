// What the server says with the page: example operations for what it holds just now.

const data = document.getElementById('given');

/** `examples`: [{title, query, variables}] to begin with. */
export const given = data ? JSON.parse(data.textContent) : { examples: [] };

/** Where the page is, the API is. */
export const address = new URL(location.pathname, location.href);
