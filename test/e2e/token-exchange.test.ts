import { accessTokenType, delegationTokenType, jwtTokenType } from "@countersign/sdk/contract/access-token";
import { createResource } from "@countersign/sdk/contract/resources";
import { decodeJwt, importJWK } from "jose";
import * as oauth from "oauth4webapi";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { audience, type Cast, castPlayers } from "../chaos/cast.ts";
import { type Installation, makeInstallation, type Party } from "../server.ts";

const calendar = "https://calendar.example/";
const grantType = "urn:ietf:params:oauth:grant-type:token-exchange";
const allowHttp = { [oauth.allowInsecureRequests]: true } as const;

let installation: Installation;
let cast: Cast;
let server: oauth.AuthorizationServer;
let remove: (() => Promise<void>)[];

beforeAll(async () => {
  remove = [];
  installation = await makeInstallation({}, (end) => remove.push(end));
  cast = await castPlayers(installation, await installation.startServer());
  const body = { audience: calendar, scope: ["mail.read"], owner: cast.alice };
  await cast.operator.perform(createResource, { body });
  const issuer = new URL(installation.issuer);
  const discovered = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...allowHttp });
  server = await oauth.processDiscoveryResponse(issuer, discovered);
});
afterAll(() => Promise.all(remove.map((end) => end())));

/** A client as any other product's: oauth4webapi, knowing only the issuer's URL, its own id and its key. */
async function clientOf({ clientId, key }: Party) {
  const privateKey = await importJWK({ ...key }, "ES256");
  if (privateKey instanceof Uint8Array) throw new Error("a private key is no secret");
  const client: oauth.Client = { client_id: clientId };
  return async (parameters: Record<string, string>, dpop = true) => {
    const proof = dpop ? oauth.DPoP(client, await dpopPair(key)) : undefined;
    const response = await oauth.genericTokenEndpointRequest(
      server,
      client,
      oauth.PrivateKeyJwt(
        { key: privateKey, ...(key.kid && { kid: key.kid }) },
        { [oauth.modifyAssertion]: (_, payload) => Object.assign(payload, { aud: server.issuer }) },
      ),
      grantType,
      parameters,
      { ...allowHttp, ...(proof && { DPoP: proof }) },
    );
    return oauth.processGenericTokenEndpointResponse(server, client, response);
  };
}

async function dpopPair(key: Party["key"]): Promise<oauth.CryptoKeyPair> {
  const { d: _, ...publicJwk } = key;
  const [privateKey, publicKey] = await Promise.all(
    [key, publicJwk].map((jwk) =>
      crypto.subtle.importKey("jwk", { ...jwk }, es256, true, "d" in jwk ? ["sign"] : ["verify"]),
    ),
  );
  if (privateKey === undefined || publicKey === undefined) throw new Error("there are two keys");
  return { privateKey, publicKey };
}
const es256 = { name: "ECDSA", namedCurve: "P-256" };

/** Alice's grant, made at the command line, that lists a tool onward for the calendar. */
async function listed(agent: Party, tool: Party, ...more: string[]): Promise<string> {
  const words = ["delegate", "--from", cast.alice, "--to", agent.id, "--resource", audience];
  const onward = `${tool.id} ${calendar} mail.read`;
  const rest = ["--scope", "mail.read", "--scope", "mail.send", "--max-depth", "3", "--onward", onward];
  const { code, out, err } = await installation.run(...words, ...rest, ...more, "--json");
  if (code !== 0) throw new Error(err);
  return JSON.parse(out).id;
}

const errorOf = (request: Promise<unknown>) =>
  request.then(
    () => "no error",
    (error: unknown) => (error instanceof oauth.ResponseBodyError ? error.error : String(error)),
  );

describe("a client of others", () => {
  test("[ONW-002] redeems a delegation, and an access token that lists it, and knows what it got", async () => {
    const [agent, tool] = [await cast.createAgent("agent"), await cast.createAgent("tool")];
    const [asAgent, asTool] = [await clientOf(agent), await clientOf(tool)];
    const delegation = await listed(agent, tool);
    const handle = { subject_token: delegation, subject_token_type: delegationTokenType };
    const first = await asAgent({ ...handle, requested_token_type: jwtTokenType });
    expect([first["issued_token_type"], first.token_type]).toEqual([jwtTokenType, "dpop"]);
    expect(decodeJwt(first.access_token)).toMatchObject({
      aud: audience,
      may_act: { iss: installation.issuer, sub: tool.clientId },
    });

    for (const [type, requested] of [
      [accessTokenType, undefined],
      [jwtTokenType, accessTokenType],
    ] as const) {
      const second = await asTool({
        subject_token: first.access_token,
        subject_token_type: type,
        ...(requested && { requested_token_type: requested }),
        resource: calendar,
        scope: "mail.read",
      });
      expect([second["issued_token_type"], second.scope]).toEqual([accessTokenType, "mail.read"]);
      expect(second["ledger"]).toMatchObject({ log: "default" });
      expect(decodeJwt(second.access_token)).toMatchObject({
        sub: cast.alice,
        aud: calendar,
        client_id: tool.clientId,
        txn: decodeJwt(first.access_token)["txn"],
        cnf: { jkt: tool.key.kid },
        act: { sub: tool.clientId, act: { sub: agent.clientId } },
      });
    }
  });

  test("[RAR-002] asks for less by authorization_details, of a type that discovery names, and is told what it got", async () => {
    expect(server["authorization_details_types_supported"]).toEqual(["tool_call"]);
    const [agent, tool] = [await cast.createAgent("agent"), await cast.createAgent("tool")];
    const under = (prefix: string) => [
      { type: "tool_call", server: "files", tools: ["read_file"], arguments: { path: { prefix } } },
    ];
    const delegation = await listed(agent, tool, "--details", JSON.stringify(under("/data")));
    const handle = { subject_token: delegation, subject_token_type: delegationTokenType };
    const asking = (prefix: string) => ({ authorization_details: JSON.stringify(under(prefix)) });
    const asAgent = await clientOf(agent);
    const whole = await asAgent(handle);
    expect(whole.authorization_details).toEqual(under("/data"));
    const part = await asAgent({ ...handle, ...asking("/data/mine") });
    expect(part.authorization_details).toEqual(under("/data/mine"));
    expect(decodeJwt(part.access_token)["authorization_details"]).toEqual(under("/data/mine"));
    expect(await errorOf(asAgent({ ...handle, ...asking("/database") }))).toBe("invalid_scope");
    expect(await errorOf(asAgent({ ...handle, ...asking("/data/..") }))).toBe(
      "invalid_authorization_details",
    );
    const subject = { subject_token: part.access_token, subject_token_type: accessTokenType };
    const asTool = await clientOf(tool);
    expect(await errorOf(asTool({ ...subject, ...asking("/data") }))).toBe("invalid_scope");
    expect((await asTool(subject)).authorization_details).toEqual(under("/data/mine"));
  });

  test("[ONW-001] is told actor_unauthorized when it is not listed, by that name", async () => {
    const [agent, tool, other] = await Promise.all(["a", "t", "o"].map((name) => cast.createAgent(name)));
    if (!agent || !tool || !other) throw new Error("there are three");
    const handle = { subject_token: await listed(agent, tool), subject_token_type: delegationTokenType };
    const { access_token } = await (await clientOf(agent))(handle);
    const subject = { subject_token: access_token, subject_token_type: accessTokenType };
    for (const party of [other, agent, cast.mailbox]) {
      expect(await errorOf((await clientOf(party))(subject, false))).toBe("actor_unauthorized");
    }
    const garbage = { ...subject, subject_token: "nonsense" };
    expect(await errorOf((await clientOf(tool))(garbage))).toBe("invalid_request");
  });

  test("[SES-001] joins a transaction by an actor_token, and not with another session's delegation", async () => {
    const [agent, tool] = [await cast.createAgent("agent"), await cast.createAgent("tool")];
    const asAgent = await clientOf(agent);
    const redeem = async (session: string, more: Record<string, string> = {}) =>
      asAgent({
        subject_token: await listed(agent, tool, "--session", session),
        subject_token_type: delegationTokenType,
        ...more,
      });
    const { access_token } = await redeem("one");
    const actor = { actor_token: access_token, actor_token_type: accessTokenType };
    const joined = await redeem("one", actor);
    expect(decodeJwt(joined.access_token)["txn"]).toBe(decodeJwt(access_token)["txn"]);
    expect(await errorOf(redeem("two", actor))).toBe("invalid_request");
    const foreign = await (await clientOf(tool))({
      subject_token: access_token,
      subject_token_type: accessTokenType,
    });
    const asAnother = { actor_token: foreign.access_token, actor_token_type: jwtTokenType };
    expect(await errorOf(redeem("one", asAnother))).toBe("actor_unauthorized");
  });
});

test("[NAR-005] the command line lists a target for the delegation's own resource and scope, unless told", async () => {
  const [agent, tool] = [await cast.createAgent("agent"), await cast.createAgent("tool")];
  const words = [
    "delegate",
    "--from",
    cast.alice,
    "--to",
    agent.id,
    "--resource",
    audience,
    "--max-depth",
    "1",
  ];
  const grant = (onward: string) =>
    installation.run(...words, "--scope", "mail.read", "--onward", onward, "--json");
  for (const [onward, resource] of [
    [tool.id, audience],
    [`${tool.id} ${calendar}`, calendar],
  ] as const) {
    const { id } = JSON.parse((await grant(onward)).out);
    const shown = await cast.operator.fetchRaw({
      method: "GET",
      path: `/v1/delegations/${id}`,
      scope: "admin",
    });
    expect(await shown.json()).toMatchObject({
      onward: [{ agent: tool.id, resource, scope: ["mail.read"] }],
    });
  }
  expect((await grant("usr_1 x")).code).toBe(2);
});
