/** What a node tells of itself as it goes. */
export type NodeEvent =
  | { readonly event: "server-away"; readonly reason: string }
  | { readonly event: "server-back" }
  /** The server wants fewer requests: one of them waits. */
  | { readonly event: "slowed"; readonly seconds: number }
  | { readonly event: "renewed"; readonly expires_at: string }
  /** It is a node no more: nothing is served from here on. */
  | { readonly event: "ended"; readonly reason: string };
