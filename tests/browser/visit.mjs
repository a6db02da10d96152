// Opens the page in a real browser, does there what a visitor does, and tells what it saw.
//
//     node visit.mjs '{"address": "http://127.0.0.1:8000/graphql", "browser": "/usr/bin/chromium"}'
//
// It speaks in lines of JSON, {"at": "…", …}, and after each waits for a line that says to go on: what others do
// meanwhile is done by whoever started it.  Every name is refused, so that a request to another place fails; all such
// requests are told at the end, with what broke the page's policy and what stands in the console.
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const SECONDS = 60; // for anything that is waited for
const { address, browser: executablePath, picture } = JSON.parse(process.argv[2]);
const { host, origin } = new URL(address);

const orders = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const wrong = { foreign: [], failed: [], console: [], violations: [] };

const browser = await chromium.launch({
  executablePath,
  args: [
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-dev-shm-usage',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    '--no-first-run',
    '--no-sandbox', // it shows nothing but our own page, and containers run it as root
  ],
});
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light' });
  context.setDefaultTimeout(SECONDS * 1000);
  const page = await context.newPage();
  await listen(page);
  await visit(page);
} finally {
  await browser.close();
}
process.exit(0);

async function tell(at, seen = {}) {
  console.log(JSON.stringify({ at, ...seen }));
  return (await orders.next()).value;
}

async function listen(page) {
  page.on('request', (request) => {
    const { protocol } = new URL(request.url());
    if (!request.url().startsWith(`${origin}/`)) wrong.foreign.push(`${protocol} ${request.url()}`);
  });
  page.on('websocket', (socket) => new URL(socket.url()).host === host || wrong.foreign.push(socket.url()));
  page.on('requestfailed', (request) => wrong.failed.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) wrong.console.push(message.text());
  });
  page.on('pageerror', (error) => wrong.console.push(String(error)));
  await page.exposeFunction('violated', (what) => wrong.violations.push(what));
  await page.addInitScript(() =>
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sample }) =>
      window.violated(`${violatedDirective} ${blockedURI} ${sample}`),
    ),
  );
}

async function visit(page) {
  await page.goto(address);
  await page.locator('.graphiql-query-editor .view-line').first().waitFor();
  await tell('opened', { tabs: await page.locator('.graphiql-tab-button').allTextContents() });

  await tell('read', { answer: await run(page, 'ReadThread') });
  await tell('paged', { answer: await run(page, 'PageThread') });
  const { data } = await run(page, 'SignIn');
  await page.locator('.account .sign-out').waitFor();
  await tell('signed in', { ...data.signIn, account: await page.locator('.account b').innerText() });

  await tell('replied', { answer: await run(page, 'Reply') });

  await front(page, 'WatchThread');
  await page.locator('.graphiql-execute-button').click();
  const thread = page.getByRole('region', { name: 'Live' });
  await thread.locator('li').first().waitFor();
  let shown = await tell('watching', { headers: await headers(page), ...(await live(thread)) });
  await thread.locator('.newest', { hasText: shown }).waitFor();
  await page.locator('.graphiql-response', { hasText: 'CommentAdded' }).waitFor();
  if (picture) await page.screenshot({ path: picture, animations: 'disabled' });
  shown = await tell('told', { ...(await live(thread)), wrong: structuredClone(wrong) });

  await thread.locator('.newest', { hasText: shown }).waitFor();
  await tell('told again', await live(thread));
  const over = page.waitForResponse((response) => response.request().postData()?.includes('signOut'));
  await page.locator('.account .sign-out').click();
  await over;
  await page.locator('.account', { hasText: 'nobody' }).waitFor();
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  await tell('signed out', { headers: await headers(page), kept });
}

async function front(page, name) {
  await page.locator('.graphiql-tab-button', { hasText: name }).click();
  await page.locator('.graphiql-query-editor .view-line', { hasText: name }).first().waitFor();
}

/** The answer to the operation in the tab of this name, as the server gave it and as the page shows it. */
async function run(page, name) {
  await front(page, name);
  const asked = page.waitForResponse(
    (response) => response.request().postDataJSON()?.operationName === name && response.request().method() === 'POST',
  );
  await page.locator('.graphiql-execute-button').click();
  const answer = await (await asked).json();
  await page.locator('.graphiql-response .view-line', { hasText: '"data"' }).waitFor();
  return answer;
}

/** What the headers editor holds, whether or not it is in front. */
function headers(page) {
  return page.evaluate(() => {
    const models = globalThis.__MONACO.editor.getModels();
    return models.find(({ uri }) => uri.path.endsWith('request-headers.json')).getValue();
  });
}

async function live(thread) {
  return {
    state: await thread.locator('.state').innerText(),
    lines: await thread.locator('li').evaluateAll((items) =>
      items.map((item) => [Number(item.style.getPropertyValue('--depth')), item.textContent, item.className]),
    ),
  };
}
