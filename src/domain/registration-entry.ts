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
// Only the spelling that the kernel tells: no dot segments, no empty ones.
const aPath = /^\/(?!(?:.*\/)?\.{0,2}(?:\/|$))./;
const aGroupPath = /^\/(?!(?:.*\/)?\.{1,2}(?:\/|$))/;
const aUnit = /^[A-Za-z0-9:_.\\@-]+\.(?:service|scope|socket|mount|swap)$/;
const aLabel = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const aSubdomain = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;
const something = /^\S/;

/** What the value of a kind looks like where attestors find no other: with another the selector is true of nobody. */
export const selectorValues = [
  ["unix:uid", aNumber, "a user's number"],
  ["unix:gid", aNumber, "a group's number"],
  ["unix:supplementary_gid", aNumber, "a group's number"],
  ["unix:user", something, "a user's name"],
  ["unix:group", something, "a group's name"],
  ["unix:path", aPath, "the absolute path of a file, without `.`, `..` and doubled slashes"],
  ["unix:cgroup", aGroupPath, "the path of a control group, from `/` on"],
  ["systemd:unit", aUnit, "a unit with its suffix, such as mail.service"],
  ["k8s:ns", aLabel, "a namespace's name"],
  ["k8s:sa", aSubdomain, "a service account's name"],
  ["k8s:pod-name", aSubdomain, "a pod's name"],
  ["k8s:pod-uid", something, "a pod's uid"],
  ["k8s:container-name", aLabel, "a container's name"],
  ["k8s:container-image", something, "an image"],
  ["k8s:node-name", aSubdomain, "a node's name"],
  ["unix:sha256", aHash, "a SHA-256 in lower-case hex"],
  ["agent_checksum", aHash, "a SHA-256 in lower-case hex"],
] as const satisfies readonly (readonly [(typeof selectorKinds)[number], RegExp, string])[];

/** Which entries are wanted; what is undefined does not matter. */
export interface EntryFilter {
  readonly agent?: AgentId | undefined;
  readonly parent?: NodeId | undefined;
  readonly selector?: Selector | undefined;
}
