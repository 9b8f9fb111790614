import type { Brand } from "./brand.ts";

/**
 * One thing that attestation found true of a workload or a node, as `<type>:<value>`: `unix:uid:1000`,
 * `k8s:sa:default`. Two selectors are the same when their spelling is.
 */
export type Selector = Brand<string, "Selector">;

/** UTF-16 code units of a selector at the most. */
export const selectorCharsMax = 512;

const selector = /^[a-z][a-z0-9_]{0,31}:[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u;

/** The selector that `text` is, or undefined. Control and invisible characters are refused: they would forge a log. */
export function parseSelector(text: string): Selector | undefined {
  const legal = text.length <= selectorCharsMax && text.isWellFormed() && selector.test(text);
  return legal ? (text as Selector) : undefined;
}
