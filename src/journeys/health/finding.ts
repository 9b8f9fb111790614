import type { ServerStatusWire } from "@countersign/sdk/contract/server-status";

/** How one thing is that the server needs, as its operator is told. */
export type Finding = ServerStatusWire["checks"][number];
