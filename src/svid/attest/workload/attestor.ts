import { parseSelector, type Selector } from "@countersign/sdk/model/selector";
import type { CostlyKind } from "../../../domain/entry-index.ts";
import type { WorkloadPeer } from "../../../domain/svid-source.ts";

/** Finds out one kind of things about a workload. */
export interface WorkloadAttestor {
  /** For the log: `unix`, `systemd`, `k8s`. */
  readonly name: string;
  /**
   * Only what is true of this very process and can be said exactly; whatever can't is left out.
   *
   * @param wanted which of the costly kinds are found out; all of them, if nothing is said
   * @throws Error when nothing can be said at all: then it counts as having found nothing
   */
  attest(peer: WorkloadPeer, wanted?: ReadonlySet<CostlyKind>): Promise<readonly Selector[]>;
}

/** `<type>:<name>:<value>`; none for what is not known, or can't be spelled as a selector. */
export function selectorsOf(
  type: string,
  values: readonly (readonly [name: string, value: string | number | undefined])[],
): readonly Selector[] {
  return values.flatMap(([name, value]) => {
    const isKnown = value !== undefined && value !== "";
    return (isKnown ? parseSelector(`${type}:${name}:${value}`) : undefined) ?? [];
  });
}
