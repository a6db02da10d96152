// How the page is built: see graph/web/build.py.
import { defineConfig } from 'vite';

export default defineConfig({
  build: {
    assetsInlineLimit: 0, // a file is a file: no data: addresses to allow in the policy
    license: { fileName: 'licenses.md' }, // of all that is in the page
    chunkSizeWarningLimit: 10_000, // kilobytes; the editor is large
    modulePreload: { polyfill: false },
    target: 'es2022',
  },
  experimental: {
    // The page is /graphql, below whatever path a proxy puts it: its own addresses are relative, and so are the files'.
    renderBuiltUrl: (file, { hostType }) => (hostType === 'html' ? `graphql/${file}` : { relative: true }),
  },
  worker: { format: 'es' },
});
