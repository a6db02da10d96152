// The policy lets in only those style elements that carry this answer's nonce; the editor, which makes its own, is told.

const nonce = document.querySelector('meta[property="csp-nonce"]')?.nonce;
const createElement = document.createElement.bind(document);

document.createElement = (name, options) => {
  const element = createElement(name, options);
  if (nonce && element instanceof HTMLStyleElement) element.nonce = nonce;
  return element;
};
