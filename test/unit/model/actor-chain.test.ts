import {
  type Actor,
  actClaimOf,
  actorChainLengthMax,
  actorChainOf,
  isActOf,
} from "@countersign/sdk/model/actor-chain";
import { parseSpiffeId } from "@countersign/sdk/model/spiffe-id";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

function actor(name: string, iss = "https://id.example"): Actor {
  const sub = parseSpiffeId(`spiffe://id.example/${name}`);
  if (sub === undefined) throw new Error(`not a SPIFFE ID: ${name}`);
  return { iss, sub };
}
const actors = fc
  .tuple(fc.stringMatching(/^[a-z]{1,8}$/), fc.webUrl())
  .map(([name, iss]) => actor(name, iss));

test("[MOD-004] a chain survives its act claim and JSON, hop by hop", () => {
  fc.assert(
    fc.property(fc.array(actors, { maxLength: actorChainLengthMax }), (chain) => {
      const act = actClaimOf(chain);
      expect(actorChainOf(act && JSON.parse(JSON.stringify(act)))).toEqual(chain);
    }),
  );
});

test("[MOD-004] the presenter is outermost and older hops lie within", () => {
  expect(actClaimOf([actor("mail"), actor("orchestrator")])).toEqual({
    iss: "https://id.example",
    sub: "spiffe://id.example/mail",
    sub_profile: "ai_agent",
    act: { iss: "https://id.example", sub: "spiffe://id.example/orchestrator", sub_profile: "ai_agent" },
  });
});

test("[MOD-004] where nothing was delegated there is no act claim", () => {
  expect(actClaimOf([])).toBeUndefined();
});

const hop = actClaimOf([actor("a")]);

test.each([
  ["null", null],
  ["a string", "spiffe://id.example/a"],
  ["an empty object", {}],
  ["a hop without issuer", { ...hop, iss: undefined }],
  ["a hop with another profile", { ...hop, sub_profile: "user" }],
  ["a hop whose subject is no SPIFFE ID", { ...hop, sub: "alice" }],
  ["a key inside a hop", { ...hop, cnf: { jkt: "x" } }],
  ["a malformed older hop", { ...hop, act: { sub: "x" } }],
  ["an older hop that is null", { ...hop, act: null }],
])("[MOD-004] %s spells no chain", (_, act) => {
  expect(actorChainOf(act)).toBeUndefined();
});

test("[MOD-004] a chain that is too long, or a ring, spells no chain", () => {
  const long = actClaimOf(Array.from({ length: actorChainLengthMax + 1 }, (_, i) => actor(`a${i}`)));
  expect(actorChainOf(long)).toBeUndefined();
  const ring: Record<string, unknown> = { ...hop };
  ring["act"] = ring;
  expect(actorChainOf(ring)).toBeUndefined();
});

describe("a presented act claim", () => {
  const recorded = [actor("c"), actor("b"), actor("a")];
  const other = [actor("z"), actor("y")];

  test("[NAR-007] says what is recorded, whatever the order of its members", () => {
    expect(isActOf(recorded, actClaimOf(recorded))).toBe(true);
    expect(isActOf([], undefined)).toBe(true);
    const { act, ...outer } = actClaimOf(recorded) ?? {};
    expect(isActOf(recorded, { act, ...outer })).toBe(true);
  });

  test("[NAR-007] is recognised as recorded only if it is, hop by hop", () => {
    const chains = fc.array(fc.constantFrom(...recorded, ...other), { maxLength: 4 });
    fc.assert(
      fc.property(chains, chains, (one, two) => {
        const same = JSON.stringify(one) === JSON.stringify(two);
        expect(isActOf(one, actClaimOf(two))).toBe(same);
      }),
      { numRuns: 2000 },
    );
  });

  test.each<[string, unknown]>([
    ["without its oldest hop", actClaimOf(recorded.slice(0, -1))],
    ["without its presenter", actClaimOf(recorded.slice(1))],
    ["without a hop in the middle", actClaimOf([actor("c"), actor("a")])],
    ["in another order", actClaimOf(recorded.toReversed())],
    ["with a hop of another chain", actClaimOf([actor("c"), actor("y"), actor("a")])],
    ["below another chain", actClaimOf([...other, ...recorded])],
    ["above another chain", actClaimOf([...recorded, ...other])],
    [
      "with a hop of another issuer",
      actClaimOf([actor("c"), actor("b", "https://evil.example"), actor("a")]),
    ],
    ["with a key in a hop", { ...actClaimOf(recorded), cnf: { jkt: "x" } }],
    ["with a member that is not recorded", { ...actClaimOf(recorded), role: "admin" }],
    ["with another profile", { ...actClaimOf(recorded), sub_profile: "user" }],
    ["that ends in null", JSON.parse(JSON.stringify(actClaimOf([actor("c")])).replace("}", ',"act":null}'))],
    ["that is none", undefined],
    ["that is null", null],
    ["that is a list", [actClaimOf(recorded)]],
  ])("[NAR-007] is refused %s", (_, act) => {
    expect(isActOf(recorded, act)).toBe(false);
    expect(isActOf([actor("c")], act)).toBe(false);
  });
});
