"""The page for people who try things out: GraphiQL, built from `source` into `dist`, served at the API's address."""
