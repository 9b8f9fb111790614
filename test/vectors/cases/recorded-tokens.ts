import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import type { Case } from "../vector-files.ts";
import { calendar, mail, readData, readFiles } from "./parties.ts";

const issuer = "https://id.example";
const actor = (name: string) => ({ iss: issuer, sub: `spiffe://id.example/org/acme/agent/${name}` });
const [a, b, c] = [actor("a"), actor("b"), actor("c")];
const claimOf = (one: { iss: string; sub: string }) => ({ ...one, sub_profile: "ai_agent" });
const act = { ...claimOf(b), act: claimOf(a) };
const mayAct = claimOf(c);

const recorded = { delegation: "dlg_b", root: "dlg_a", subject: "usr_alice", audience: mail, chain: [b, a] };
const claims = {
  sub: "usr_alice",
  aud: mail,
  client_id: b.sub,
  delegation: "dlg_b",
  delegation_root: "dlg_a",
  act,
};

type Changes = { readonly [name: string]: JsonValue | undefined };

/** What the token says otherwise than the record (undefined: nothing), and whether it is a token of it. */
const cases: [string, Changes, Changes, boolean][] = [
  ["what is recorded", {}, {}, true],
  [
    "more that is not about the delegation",
    {},
    { scope: "mail.read", jti: "tok_1", cnf: { jkt: "x" } },
    true,
  ],
  ["the party that may act next", { may_act: mayAct }, { may_act: mayAct }, true],
  ["another subject", {}, { sub: "usr_bob" }, false],
  ["another audience", {}, { aud: calendar }, false],
  ["the audience with an origin's slash, which is not the registered one", {}, { aud: `${mail}/` }, false],
  ["a list of audiences", {}, { aud: [mail] }, false],
  ["another client", {}, { client_id: c.sub }, false],
  ["the client of the hop above", {}, { client_id: a.sub }, false],
  ["another delegation", {}, { delegation: "dlg_c" }, false],
  ["the parent's delegation", {}, { delegation: "dlg_a" }, false],
  ["no delegation", {}, { delegation: undefined }, false],
  ["another root", {}, { delegation_root: "dlg_c" }, false],
  ["no root", {}, { delegation_root: undefined }, false],
  ["no actors", {}, { act: undefined }, false],
  ["actors that are null", {}, { act: null }, false],
  ["spliced: the presenter over another chain", {}, { act: { ...claimOf(b), act: claimOf(c) } }, false],
  [
    "spliced: a hop below the root",
    {},
    { act: { ...claimOf(b), act: { ...claimOf(a), act: claimOf(c) } } },
    false,
  ],
  [
    "spliced: another presenter, who is the client too",
    {},
    { client_id: c.sub, act: { ...claimOf(c), act } },
    false,
  ],
  ["truncated: without the hop above", {}, { act: claimOf(b) }, false],
  ["in another order", {}, { act: { ...claimOf(a), act: claimOf(b) } }, false],
  [
    "the delegation's details",
    { authorization_details: [readData] },
    { authorization_details: [readData] },
    true,
  ],
  ["narrower details", { authorization_details: [readFiles] }, { authorization_details: [readData] }, true],
  ["details where the delegation has none", {}, { authorization_details: [readData] }, true],
  ["wider details", { authorization_details: [readData] }, { authorization_details: [readFiles] }, false],
  ["no details where the delegation has some", { authorization_details: [readData] }, {}, false],
  [
    "an empty list where the delegation has some",
    { authorization_details: [readData] },
    { authorization_details: [] },
    false,
  ],
  ["details of an unknown type", {}, { authorization_details: [{ type: "payment" }] }, false],
  ["details that are no list", {}, { authorization_details: "read_file" }, false],
  ["details that are null", {}, { authorization_details: null }, false],
  ["nobody next where one is recorded", { may_act: mayAct }, {}, false],
  ["another next than is recorded", { may_act: mayAct }, { may_act: claimOf(a) }, false],
  ["a next that has more to it", { may_act: mayAct }, { may_act: { ...mayAct, client_id: c.sub } }, false],
  ["somebody next where nobody is recorded", {}, { may_act: mayAct }, false],
  ["a next that is null", {}, { may_act: null }, false],
];

export const recordedTokens: readonly Case[] = cases.map(([name, has, says, expected]) => ({
  name,
  input: { recorded: { ...recorded, ...has }, claims: { ...claims, ...says } as JsonValue },
  expected,
}));
