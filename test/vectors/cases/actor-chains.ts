import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import type { Case } from "../vector-files.ts";

interface Hop {
  readonly [name: string]: JsonValue | undefined;
  readonly iss: string;
  readonly sub: string;
}

const issuer = "https://id.example";
const agent = (name: string, iss = issuer): Hop => ({
  iss,
  sub: `spiffe://id.example/org/acme/agent/${name}`,
});
/** The act claim of hops, the presenter first. */
const actOf = (...hops: readonly Hop[]): JsonValue | undefined =>
  hops.reduceRight<JsonValue | undefined>(
    (act, { iss, sub }) => ({ iss, sub, sub_profile: "ai_agent", ...(act !== undefined && { act }) }),
    undefined,
  );

const [a, b, c] = [agent("a"), agent("b"), agent("c")];
const one = { ...a, sub_profile: "ai_agent" };
const many = (length: number) => actOf(...Array.from({ length }, (_, place) => agent(`a${place}`)));

const claims: [string, JsonValue | undefined, boolean][] = [
  ["no act: nothing was delegated", undefined, true],
  ["one hop", actOf(a), true],
  ["three hops, the presenter outermost", actOf(c, b, a), true],
  ["hops of two issuers", actOf(c, agent("b", "https://other.example")), true],
  ["an agent that appears twice", actOf(a, b, a), true],
  ["sixteen hops", many(16), true],
  ["seventeen hops", many(17), false],
  ["null", null, false],
  ["a text", a.sub, false],
  ["a list", [one], false],
  ["an empty object", {}, false],
  ["a hop without an issuer", { sub: a.sub, sub_profile: "ai_agent" }, false],
  ["a hop without a subject", { iss: issuer, sub_profile: "ai_agent" }, false],
  ["a hop without a profile", { ...a }, false],
  ["a hop with another profile", { ...one, sub_profile: "user" }, false],
  ["a subject that is no SPIFFE ID", { ...one, sub: "alice" }, false],
  ["a SPIFFE ID in upper case", { ...one, sub: "SPIFFE://id.example/a" }, false],
  ["a SPIFFE ID with a parent", { ...one, sub: "spiffe://id.example/org/../admin" }, false],
  ["a SPIFFE ID with percent-encoding", { ...one, sub: "spiffe://id.example/%61" }, false],
  ["a SPIFFE ID with a final slash", { ...one, sub: `${a.sub}/` }, false],
  ["a SPIFFE ID beyond ASCII", { ...one, sub: "spiffe://id.example/\u0430" }, false],
  ["a key inside a hop", { ...one, cnf: { jkt: "x" } }, false],
  ["a key inside an older hop", { ...one, act: { ...one, cnf: { jkt: "x" } } }, false],
  ["an older hop that is null", { ...one, act: null }, false],
  ["an older hop that is malformed", { ...one, act: { sub: b.sub } }, false],
];

export const actorChains: readonly Case[] = claims.map(([name, act, expected]) => ({
  name,
  input: act === undefined ? {} : { act },
  expected,
}));

const recorded = [c, b, a];
const [y, z] = [agent("y"), agent("z")];
const whole = actOf(...recorded);
const presented: [string, readonly Hop[], JsonValue | undefined, boolean][] = [
  ["what is recorded", recorded, whole, true],
  ["nothing where nothing is recorded", [], undefined, true],
  ["nothing where something is recorded", recorded, undefined, false],
  ["something where nothing is recorded", [], actOf(a), false],
  ["truncated: without the oldest hop", recorded, actOf(c, b), false],
  ["truncated: the presenter only", recorded, actOf(c), false],
  ["truncated: without a hop in the middle", recorded, actOf(c, a), false],
  ["without the presenter", recorded, actOf(b, a), false],
  ["in another order", recorded, actOf(a, b, c), false],
  ["another presenter over the same chain", recorded, actOf(z, b, a), false],
  ["spliced: a hop of another chain", recorded, actOf(c, y, a), false],
  ["spliced: another root below", recorded, actOf(c, b, z), false],
  ["spliced: another chain above", recorded, actOf(z, y, c, b, a), false],
  ["spliced: another chain below", recorded, actOf(c, b, a, z, y), false],
  ["spliced: the own chain twice", recorded, actOf(c, b, a, c, b, a), false],
  ["a hop of another issuer", recorded, actOf(c, agent("b", "https://evil.example"), a), false],
  ["a hop of the issuer with a slash", recorded, actOf(c, agent("b", `${issuer}/`), a), false],
  ["a hop in another case", recorded, actOf(c, agent("B"), a), false],
  ["a key in a hop", recorded, { ...(whole as object), cnf: { jkt: "x" } }, false],
  ["a member that is not recorded", recorded, { ...(whole as object), client_id: c.sub }, false],
  ["another profile", recorded, { ...(whole as object), sub_profile: "user" }, false],
  ["an end that is null", [a], { ...one, act: null }, false],
  ["a list of hops", recorded, [whole ?? null], false],
];

export const recordedActs: readonly Case[] = presented.map(([name, chain, act, expected]) => ({
  name,
  input: {
    recorded: chain.map(({ iss, sub }) => ({ iss, sub })),
    ...(act !== undefined && { presented: act }),
  },
  expected,
}));
