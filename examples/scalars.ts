/**
 * The scalars of the schema: texts all of them, told apart by the compiler so that none is taken for another.
 */
declare const scalar: unique symbol;
type Scalar<Name extends string> = string & { readonly [scalar]: Name };

/** A place in a list, good for `after` and `before` of that list. */
export type Cursor = Scalar<"Cursor">;
/** A place in a stream, good for `after` of a subscription; not for a list. */
export type LiveCursor = Scalar<"LiveCursor">;
/** ISO 8601, UTC, always with six decimals: these sort as texts, and `new Date` takes them. */
export type DateTime = Scalar<"DateTime">;
/** Made safe by the server: it may be inserted into a page as it is.  No other text may. */
export type HTML = Scalar<"HTML">;
export type URL = Scalar<"URL">;
/** What a person writes. */
export type Markdown = string;
