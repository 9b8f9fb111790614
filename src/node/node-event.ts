/** What a node tells of itself as it goes. */
export type NodeEvent =
  | { readonly event: "server-away"; readonly reason: string }
  | { readonly event: "server-back" }
  /** The server is there, and does not do what it was asked: told once for each code, until it does. */
  | { readonly event: "refused"; readonly code: string; readonly reason: string }
  /** The node itself can't do what it has to, or can't read what the server says: told once, until it can. */
  | { readonly event: "failed"; readonly reason: string }
  /** The server wants fewer requests: one of them waits. */
  | { readonly event: "slowed"; readonly seconds: number }
  | { readonly event: "renewed"; readonly expires_at: string }
  /** It is a node no more: nothing is served from here on. */
  | { readonly event: "ended"; readonly reason: string };
