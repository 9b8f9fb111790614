import { newId, parseOrganizationId } from "@countersign/sdk/model/ids";
import { parseTrustDomain } from "@countersign/sdk/model/spiffe-id";
import { describe, expect, test } from "vitest";
import { searchAccess } from "../../src/journeys/access/search.ts";
import { entityIdsAfter, scopesNamed } from "../../src/policy/catalogue.ts";
import { decide } from "../../src/policy/decide.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy, loadRecordedPolicy } from "../../src/policy/snapshot.ts";

const { model, policy: shipped } = await readShippedPolicy();
const idOf = (place: number) => `r${String(place).padStart(5, "0")}`;
const lines = Array.from({ length: 4500 }, (_, place) => {
  const domain = place % 3 === 0 ? "acme" : "*";
  return `e, record:${idOf(place)}, ${domain}, "{""n"": ${place}}"`;
});
const source = [
  shipped,
  ...lines,
  "e, record:a-globex, globex, {}",
  "e, agt_01jd0000000000000000000001, *, {}",
  "e, https://records.example, *, {}",
  "p, last, *, *, none, *, access.evaluate, read, resource.n>=4400, allow, The last hundred",
  "p, acme-writes, acme, *, none, *, access.*, write, *, allow, All of acme",
  "p, wild, *, *, none, *, access.evaluate, mail.*, *, allow, By no name",
  "p, issues, *, *, none, *, token.issue, stamp, *, deny, Of tokens only",
].join("\n");
const snapshot = await loadPolicy({ model, policy: source, issuer: "https://id.example" });
const organization = parseOrganizationId("acme") ?? raise();
const trustDomain = parseTrustDomain("id.example") ?? raise();
const operator = newId("operator", 0, new Uint8Array(16));
function raise(): never {
  throw new Error("these are an organization's id and a trust domain");
}

describe("[AZN-005] what a policy knows by name", () => {
  test("is of the organization or of all, each once, in order, from behind any", async () => {
    const recorded = await loadRecordedPolicy(snapshot.text);
    for (const { catalogue } of [snapshot, recorded]) {
      const behind = (text: string, limit: number) =>
        entityIdsAfter(catalogue, { organization, type: "record" }, { after: text, limit });
      expect(behind("", 3)).toEqual([idOf(0), idOf(1), idOf(2)]);
      expect(behind(idOf(2), 2)).toEqual([idOf(3), idOf(4)]);
      expect(behind("r00002x", 1)).toEqual([idOf(3)]);
      expect(behind(idOf(4498), 9)).toEqual([idOf(4499)]);
      expect(behind("z", 9)).toEqual([]);
      for (const type of ["agent", "https", ""])
        expect(entityIdsAfter(catalogue, { organization, type }, { after: "", limit: 9 })).toEqual([]);
      expect(scopesNamed(catalogue, organization)).toEqual(["read", "write"]);
      expect(scopesNamed(catalogue, "globex")).toEqual(["read"]);
    }
  });
});

describe("[AZN-012] a search", () => {
  const nothing = async () => undefined;
  const none = async () => [];
  const deps = {
    now: () => 0,
    trustDomain,
    decide: (request: Parameters<typeof decide>[1]) => decide(snapshot, request),
    findAgent: nothing,
    findUser: nothing,
    findResource: nothing,
    findResourceByAudience: nothing,
    listAgents: none,
    listUsers: none,
    listResources: none,
    listHeldDelegations: none,
    readBudgetsLeft: async () => new Map(),
    entityIdsAfter: (of: Parameters<typeof entityIdsAfter>[1], page: Parameters<typeof entityIdsAfter>[2]) =>
      entityIdsAfter(snapshot.catalogue, of, page),
    scopesNamed: () => [],
  };

  test("looks at 2,000 names a page, and finds all in the end", async () => {
    const search = {
      for: "resource",
      type: "record",
      subject: { type: "user", id: "alice" },
      action: "read",
      attributes: {},
    } as const;
    const caller = { kind: "operator", organization, id: operator } as const;
    const pages: number[] = [];
    const found: string[] = [];
    let token: string | undefined;
    do {
      const page = { limit: 60, token };
      const { ids, next } = await searchAccess(deps, { caller, search, page });
      pages.push(ids.length);
      found.push(...ids);
      token = next;
    } while (token !== undefined);
    expect(pages).toEqual([0, 0, 60, 40]);
    expect(found).toEqual(Array.from({ length: 100 }, (_, place) => idOf(4400 + place)));
  });
});
