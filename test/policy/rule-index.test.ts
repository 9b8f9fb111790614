import { expect, test } from "vitest";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { namesOf } from "../../src/policy/roles.ts";
import { candidatesFor } from "../../src/policy/rule-index.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";
import { baseRequest } from "./base-request.ts";

const { model } = await readShippedPolicy();

function manyRules(count: number): string[] {
  return Array.from({ length: count }, (_, index) => [
    `p, exact-${index}, acme, agt_${index}, delegated, https://mail.example, token.exchange, mail.read, *, allow, exact`,
    `p, wild-${index}, *, team-${index}, *, https://r${index}.example/**, *, mail.*, *, deny, wild`,
    `p, host-${index}, *, *, *, https://r${index}.example/*, *, *, *, allow, host`,
    `g, agt_${index}, team-${index % 10}, acme`,
  ]).flat();
}

test.each([10, 5_000])(
  "among %i times three rules Casbin is handed the ones that match, and no more",
  async (count) => {
    const policy = manyRules(count).join("\n");
    const snapshot = await loadPolicy({ model, policy, issuer: "https://id.example" });
    const handed = (resource: string) => {
      const request = { ...baseRequest, resource };
      return candidatesFor(snapshot.rules, request, namesOf(snapshot.roles, request)).map(([rule]) => rule);
    };
    expect(handed("https://mail.example")).toEqual(["exact-1"]);
    expect(handed("https://r1.example/inbox")).toEqual(["wild-1", "host-1"]);
    expect(handed("https://r2.example/inbox")).toEqual(["host-2"]);
    expect(handed("https://nowhere.example")).toEqual([]);
    expect(snapshot.rules.groups).toHaveLength(3);
  },
);
