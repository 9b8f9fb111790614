import type { AgentId, NodeId } from "@countersign/sdk/model/ids";
import type { Selector } from "@countersign/sdk/model/selector";
import type { SvidEntry } from "./svid-holder.ts";

/** Which workloads an Agent's SVIDs are given to: those of which attestation finds all of its selectors true. */
export interface RegistrationEntry extends SvidEntry {
  /** Sorted, each once. */
  readonly selectors: readonly Selector[];
  /** The Node that attests and serves; undefined for the server itself. */
  readonly parent: NodeId | undefined;
  readonly status: "active" | "deleted";
  readonly createdAtMs: number;
}

/** The kinds of selector that an attestor of ours finds, each as it begins. */
export const selectorKinds = [
  "unix:uid",
  "unix:gid",
  "unix:supplementary_gid",
  "unix:user",
  "unix:group",
  "unix:path",
  "unix:sha256",
  "unix:cgroup",
  "systemd:unit",
  "k8s:ns",
  "k8s:sa",
  "k8s:pod-name",
  "k8s:pod-uid",
  "k8s:container-name",
  "k8s:container-image",
  "k8s:node-name",
  "agent_checksum",
] as const;

const aNumber = /^(?:0|[1-9][0-9]{0,9})$/;
const aHash = /^[0-9a-f]{64}$/;

/** What the value of a kind looks like where attestors find no other: with another the selector is true of nobody. */
export const selectorValues = [
  ["unix:uid", aNumber, "a user's number"],
  ["unix:gid", aNumber, "a group's number"],
  ["unix:supplementary_gid", aNumber, "a group's number"],
  ["unix:sha256", aHash, "a SHA-256 in lower-case hex"],
  ["agent_checksum", aHash, "a SHA-256 in lower-case hex"],
] as const satisfies readonly (readonly [(typeof selectorKinds)[number], RegExp, string])[];

/** Which entries are wanted; what is undefined does not matter. */
export interface EntryFilter {
  readonly agent?: AgentId | undefined;
  readonly parent?: NodeId | undefined;
  readonly selector?: Selector | undefined;
}
