import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: "../schema.graphql",
  documents: "documents.ts",
  generates: {
    "generated/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        strictScalars: true, // a scalar that is not told below is an error rather than `any`
        scalars: {
          Cursor: "../scalars.js#Cursor",
          LiveCursor: "../scalars.js#LiveCursor",
          DateTime: "../scalars.js#DateTime",
          HTML: "../scalars.js#HTML",
          URL: "../scalars.js#URL",
          Markdown: "../scalars.js#Markdown",
        },
        enumsAsTypes: true,
        futureProofEnums: true, // enums may grow: a `switch` over one has a default
        useTypeImports: true,
      },
    },
    // Which type implements what: for the caches of Apollo and urql, which match fragments by themselves.
    "generated/possibleTypes.ts": { plugins: ["fragment-matcher"], config: { apolloClientVersion: 3 } },
    "generated/introspection.ts": { plugins: ["urql-introspection"] },
  },
};

export default config;
