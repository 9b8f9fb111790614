import type { DelegationWire } from "@countersign/sdk/contract/delegations";
import { detailRows } from "./details-option.ts";

/** What a delegation is limited to, and what it lets be done with it, as lines of a table: what does not apply is left out. */
export function termRows(
  delegation: DelegationWire,
  budgetLeft?: Readonly<Record<string, number>>,
): [string, string | number][] {
  const { authorization_details: details, budget, onward, session, exclusive, max_depth: hops } = delegation;
  const units = Object.keys(budget).sort();
  const allowances = units.map((unit) =>
    budgetLeft === undefined
      ? `${unit}: ${budget[unit]}`
      : `${unit}: ${budgetLeft[unit] ?? 0} of ${budget[unit]} left`,
  );
  return [
    ...detailRows(details),
    ...(allowances.length > 0 ? [row("budget", allowances.join(", "))] : []),
    row("further hops", hops),
    ...onward.map(({ agent, resource, scope }) =>
      row("onward", `${agent} on ${resource} for ${scope.join(" ")}`),
    ),
    ...(session === undefined ? [] : [row("session", session)]),
    ...(exclusive ? [row("exclusive", "no other user's authority in one transaction with it")] : []),
  ];
}

/** Where a delegation comes from, beside its grantor, in the same way. */
export function originRows({ asserted_by: by, redeemed }: DelegationWire): [string, string][] {
  return [
    ...(by === undefined ? [] : [["asserted by", by] satisfies [string, string]]),
    ...(redeemed === undefined ? [] : [["redeemed", redeemed] satisfies [string, string]]),
  ];
}

function row(name: string, value: string | number): [string, string | number] {
  return [name, value];
}
