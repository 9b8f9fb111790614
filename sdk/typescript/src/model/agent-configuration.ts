import { type Sha256, sha256 } from "../tlog/rfc6962.ts";
import { isPlainObject } from "./bounded-json.ts";
import type { Brand } from "./brand.ts";
import { canonicalJson } from "./canonical-json.ts";
import type { Selector } from "./selector.ts";

/** What an Agent is made of: its model, and what it was told and given, by their hashes only. */
export interface AgentConfiguration {
  /** As its vendor names it, version and all: 1 to 200 characters. */
  readonly model: string;
  /** SHA-256 of the prompt's bytes, in lower-case hex. */
  readonly prompt_sha256: string;
  /** SHA-256 of the bytes of the list of tools, in lower-case hex. */
  readonly tools_sha256: string;
}

/** What stands for an AgentConfiguration: equal configurations have equal ones, and no two others do. */
export type AgentChecksum = Brand<string, "AgentChecksum">;

/** A SHA-256 in its one spelling here, as a regular expression. */
export const hexHashPattern = "^[0-9a-f]{64}$";
/** UTF-16 code units of a model's name at the most. */
export const modelCharsMax = 200;

const hexHash = new RegExp(hexHashPattern);
const selectorType = "agent_checksum:";
const members = ["model", "prompt_sha256", "tools_sha256"];
const encoder = new TextEncoder();

/** The checksum that `text` is, or undefined: 64 digits of lower-case hex. */
export function parseAgentChecksum(text: string): AgentChecksum | undefined {
  return hexHash.test(text) ? (text as AgentChecksum) : undefined;
}

/** The configuration that a JSON value is, or undefined: these three members, and no other. */
export function parseAgentConfiguration(value: unknown): AgentConfiguration | undefined {
  if (!isPlainObject(value) || Object.keys(value).sort().join() !== members.join()) return undefined;
  const { model, prompt_sha256, tools_sha256 } = value;
  if (typeof model !== "string" || !isModelName(model)) return undefined;
  if (typeof prompt_sha256 !== "string" || typeof tools_sha256 !== "string") return undefined;
  const legal = hexHash.test(prompt_sha256) && hexHash.test(tools_sha256);
  return legal ? { model, prompt_sha256, tools_sha256 } : undefined;
}

/** Whether `text` can name a model: visible, well-formed, and not too long. */
export function isModelName(text: string): boolean {
  const fits = text.length > 0 && text.length <= modelCharsMax;
  return fits && text.isWellFormed() && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text);
}

/** The SHA-256 of a configuration's canonical JSON, in lower-case hex. @see RFC 8785 */
export function agentChecksum(
  { model, prompt_sha256, tools_sha256 }: AgentConfiguration,
  hash: Sha256 = sha256,
): AgentChecksum {
  const digest = hash(encoder.encode(canonicalJson({ model, prompt_sha256, tools_sha256 })));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") as AgentChecksum;
}

/** What attestation says of a workload whose configuration was measured. */
export function checksumSelector(checksum: AgentChecksum): Selector {
  // Digits after a legal type: parseSelector takes nothing else.
  return `${selectorType}${checksum}` as Selector;
}

/** The checksum that attestation found; undefined for none, and where it found several: then none of them is certain. */
export function attestedChecksum(selectors: readonly Selector[]): AgentChecksum | undefined {
  const found = new Set(selectors.filter((selector) => selector.startsWith(selectorType)));
  const [only = "", ...others] = found;
  return others.length > 0 ? undefined : parseAgentChecksum(only.slice(selectorType.length));
}
