// GraphiQL, with the examples of this server, its sessions, and threads that grow as one watches.
import './nonce.js';
import './workers.js';
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import 'graphiql/graphiql.css';
import './page.css';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';
import { Account } from './Account.jsx';
import { fetcher } from './fetcher.js';
import { given } from './given.js';
import { LiveThread } from './LiveThread.jsx';
import { storage } from './storage.js';

const tabs = given.examples.map(({ query, variables }) => ({
  query,
  variables: Object.keys(variables).length ? JSON.stringify(variables, null, 2) : '',
}));

// GraphiQL fills the first tab from these two, and the others when one turns to them.
const [{ query: initialQuery, variables: initialVariables } = {}] = tabs;
const first = storage.getItem('graphiql:tabState') ? {} : { initialQuery, initialVariables };

// It would keep headers and variables, and with them tokens and passwords.
const NO_HISTORY = [];

createRoot(document.getElementById('page')).render(
  <GraphiQL
    fetcher={fetcher}
    storage={storage}
    plugins={NO_HISTORY}
    {...first}
    defaultTabs={tabs.length ? tabs : undefined}
    defaultEditorToolsVisibility
    inputValueDeprecation
    schemaDescription
  >
    <GraphiQL.Logo>
      <Account />
    </GraphiQL.Logo>
    <GraphiQL.Footer>
      <LiveThread />
    </GraphiQL.Footer>
  </GraphiQL>,
);
