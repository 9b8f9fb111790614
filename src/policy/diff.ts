import { isDeepStrictEqual } from "node:util";
import { column } from "./check-row.ts";
import type { PolicyLines } from "./parse-policy.ts";

/** One thing that two policies say differently: what it is, and how each has it; absent where one has nothing of it. */
export interface PolicyChange {
  readonly of: "rule" | "role" | "entity" | "mark";
  /** A rule's id; who has which role where; an entity's name and domain; a mark. */
  readonly name: string;
  readonly before?: string;
  readonly after?: string;
}

/**
 * What changes from one policy to another: rules by their ids, then roles, entities and marks. A rule that only moved is
 * none: which one is named changes by that, and never what is decided.
 */
export function diffPolicies(before: PolicyLines, after: PolicyLines): readonly PolicyChange[] {
  return [
    ...changesOf("rule", namedRules(before), namedRules(after)),
    ...changesOf("role", namedRoles(before), namedRoles(after)),
    ...changesOf("entity", namedEntities(before), namedEntities(after)),
    ...changesOf("mark", namedMarks(before), namedMarks(after)),
  ];
}

type Named = ReadonlyMap<string, readonly string[]>;

function namedRules({ rules }: PolicyLines): Named {
  return new Map(rules.map((rule) => [rule[column.rule] ?? "", rule]));
}

function namedRoles({ roles }: PolicyLines): Named {
  return new Map(roles.map(({ user, role, domain }) => [`${user} ${role} ${domain}`, [user, role, domain]]));
}

function namedEntities({ entities }: PolicyLines): Named {
  return new Map(
    entities.map(({ name, domain, attributes }) => [
      `${name} ${domain}`,
      [name, domain, JSON.stringify(attributes)],
    ]),
  );
}

function namedMarks({ marks }: PolicyLines): Named {
  return new Map(marks.map((mark) => [mark, [mark]]));
}

function changesOf(of: PolicyChange["of"], before: Named, after: Named): PolicyChange[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
    const [was, is] = [before.get(name), after.get(name)];
    if (isDeepStrictEqual(was, is)) return [];
    return [{ of, name, ...(was && { before: was.join(", ") }), ...(is && { after: is.join(", ") }) }];
  });
}
