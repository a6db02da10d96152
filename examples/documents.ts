/**
 * What the typed examples ask: one text for the server, and types for the compiler (`npm run generate` makes them).
 */
import { graphql } from "./generated/gql.js";

export const Row = graphql(`
  fragment Row on Comment {
    id
    number
    bodyText
    byline {
      author {
        id
        displayName
      }
    }
  }
`);

export const Read = graphql(`
  query Read($postId: ID!, $after: Cursor) {
    post(id: $postId) {
      id
      title
      counts {
        comments
      }
      thread(first: 20, after: $after) {
        liveCursor
        edges {
          __typename
          depth
          node {
            ...Row
          }
          more {
            __typename
            count
          }
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
  }
`);

export const Answer = graphql(`
  mutation Answer($input: AddCommentInput!) {
    addComment(input: $input) {
      comment {
        ...Row
      }
      errors {
        __typename
        message
        path
        code
        ... on ValidationError {
          limit
          actual
        }
      }
    }
  }
`);

export const Follow = graphql(`
  subscription Follow($postId: ID!, $after: LiveCursor) {
    thread(postId: $postId, after: $after) {
      __typename
      cursor
      ... on StreamReset {
        reason
      }
      ... on CommentAdded {
        comment {
          ...Row
        }
        position {
          depth
          ancestorIds
          previousSiblingId
        }
        post {
          id
          counts {
            comments
          }
        }
      }
      ... on CommentChanged {
        comment {
          ...Row
        }
      }
      ... on CommentRemoved {
        removedId
        post {
          id
          counts {
            comments
          }
        }
      }
      ... on PostChanged {
        post {
          id
          title
        }
      }
    }
  }
`);
