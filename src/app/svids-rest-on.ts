import type { Changed } from "../store/follow-changes.ts";

/** The tables whose rows decide whether an SVID is issued, and what it says; signing keys beside them. */
export const svidsRestOn: ReadonlySet<Changed["on"]> = new Set([
  "registration_entry",
  "agent",
  "user",
  "agent_checksum",
]);
