import { randomBytes } from "node:crypto";
import type { Client } from "@countersign/sdk/client/client";
import { RefusedError } from "@countersign/sdk/client/client-error";
import { signDpopProof } from "@countersign/sdk/client/sign";
import { accessTokenType } from "@countersign/sdk/contract/access-token";
import type { ApiScope } from "@countersign/sdk/contract/operation";
import { parseTrustDomain } from "@countersign/sdk/model/spiffe-id";
import { z } from "zod";
import { readKeySnapshot } from "../../src/keys/key-snapshot.ts";
import { openKeyEncryptionKey } from "../../src/keys/open-key-encryption-key.ts";
import { openSealer, type Sealer } from "../../src/keys/sealer.ts";
import { unsealSigningKey } from "../../src/keys/signing-key.ts";
import type { TokenKey } from "../../src/keys/token-key.ts";
import { connectDatabase, type Database } from "../../src/store/database.ts";
import { listSigningKeys } from "../../src/store/signing-keys.ts";
import { type Cast, callApi, castPlayers, signedForm } from "../chaos/cast.ts";
import { targetOf } from "../chaos/postgres.ts";
import { silentLog } from "../harness.ts";
import {
  depsFor,
  freePort,
  type Installation,
  makeInstallation,
  type Party,
  type ServerProcess,
} from "../server.ts";

/** Who can sign: a Party, or somebody whose id does not matter. */
export type Signer = Omit<Party, "id">;

/** A Signer with an access token of the issuer's own API. */
export interface Caller extends Signer {
  readonly accessToken: string;
}

/** What the token endpoint answered. */
const tokenAnswerSchema = z.looseObject({
  access_token: z.string().optional(),
  error: z.string().optional(),
  error_description: z.string().optional(),
});
export type TokenAnswer = z.infer<typeof tokenAnswerSchema> & { readonly status: number };

/** An installation for a whole file: one server or more on one data directory, and who is attacked there. */
export interface Stage {
  readonly installation: Installation;
  readonly cast: Cast;
  /** The server of this place, counted around. */
  at(place: number): ServerProcess;
  clientOf(party: Signer, place?: number): Client;
  /** With all that policy lets the party have, where no scope is named. */
  signIn(party: Signer, scope: ApiScope | ""): Promise<Caller>;
  /** Asks the token endpoint as an authenticated client, without proof of possession. */
  ask(party: Signer, parameters: Record<string, string>, place?: number): Promise<TokenAnswer>;
  /** Calls the API; the body is JSON text. */
  call(caller: Caller, request: Parameters<typeof callApi>[3]): Promise<{ status: number; text: string }>;
  /** Presents any text as an access token of the API, with a proof by this key that fits it. */
  present(accessToken: string, key: Signer["key"]): Promise<number>;
}

/** Starts the servers, and registers Alice and her mailbox. */
export async function openStage(
  atEnd: (remove: () => Promise<void>) => void,
  settings: Record<string, string> = {},
  replicas = 1,
): Promise<Stage> {
  const installation = await makeInstallation(settings, atEnd);
  const servers = [await installation.startServer()];
  while (servers.length < replicas) servers.push(await installation.startServer(await freePort()));
  const at = (place: number) => {
    const server = servers[place % servers.length];
    if (server === undefined) throw new Error("no server runs");
    return server;
  };
  const { issuer } = installation;
  return {
    installation,
    cast: await castPlayers(installation, at(0)),
    at,
    clientOf: (party, place = 0) => installation.clientAt(at(place), party),
    async signIn(party, scope) {
      const target = { resource: `${issuer}/v1`, scope };
      const { access_token } = await installation.clientAt(at(0), party).requestToken(target);
      return { ...party, accessToken: access_token };
    },
    async ask(party, parameters, place = 0) {
      const body = await signedForm(installation, party, parameters);
      const response = await fetch(`${at(place).url}/token`, { method: "POST", body });
      return { ...tokenAnswerSchema.parse(await response.json()), status: response.status };
    },
    async call(caller, request) {
      const response = await callApi(installation, at(0), caller, request);
      return { status: response.status, text: await response.text() };
    },
    async present(accessToken, key) {
      const request = { method: "GET", url: `${issuer}/v1/users`, key, accessToken };
      const dpop = await signDpopProof(depsFor(issuer, at(0)), request);
      const headers = { authorization: `DPoP ${accessToken}`, dpop };
      return (await fetch(`${at(0).url}/v1/users`, { headers })).status;
    },
  };
}

/** What an attempt was refused as, or `done`. */
export function codeOf(attempt: Promise<unknown>): Promise<string> {
  return attempt.then(
    () => "done",
    (error: unknown) => {
      if (error instanceof RefusedError) return error.code;
      throw error;
    },
  );
}

/** The token of an answer. @throws Error where there is none */
export function tokenOf({ status, access_token, error_description }: TokenAnswer): string {
  if (access_token === undefined) throw new Error(`no token, but ${status}: ${error_description}`);
  return access_token;
}

/** The parameters that redeem an access token of somebody else. */
export const redemptionOf = (token: string) => ({
  grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
  subject_token: token,
  subject_token_type: accessTokenType,
});

/** A key-encryption key for `COUNTERSIGN_KEK`, known to the test. */
export const newKeyEncryptionKey = () => randomBytes(32).toString("base64");

/** Signs with the issuer's own token key whatever it is told to: what no journey would have signed. */
export interface IssuerSigner {
  readonly kid: string;
  readonly publicJwk: TokenKey["publicJwk"];
  sign(claims: object, header?: object): string;
}

const ownTrustDomain = parseTrustDomain("127.0.0.1") ?? raise();

function raise(): never {
  throw new Error("127.0.0.1 is a trust domain");
}

/** Takes the issuer's token key out of its database, as only who knows the key-encryption key can. */
export async function issuerSigner(installation: Installation, kek: string): Promise<IssuerSigner> {
  const { tokenKeys } = await unsealing(installation, kek, ({ db, sealer }) =>
    readKeySnapshot({ db, sealer, trustDomain: ownTrustDomain, now: Date.now }),
  );
  if (tokenKeys === undefined) throw new Error("the issuer has no key");
  const { kid, publicJwk, sign } = tokenKeys.active;
  return {
    kid,
    publicJwk,
    sign(claims, header = {}) {
      const input = `${encoded({ alg: "ES256", typ: "at+jwt", kid, ...header })}.${encoded(claims)}`;
      return `${input}.${Buffer.from(sign(Buffer.from(input))).toString("base64url")}`;
    },
  };
}

/** The private halves of all of the issuer's keys, as octets. */
export function issuerPrivateKeys(installation: Installation, kek: string): Promise<readonly Buffer[]> {
  return unsealing(installation, kek, async ({ db, sealer }) => {
    const stored = await listSigningKeys(db, new Date(0));
    const keys = await Promise.all(stored.map((key) => unsealSigningKey(sealer, key)));
    return keys.map((key) => Buffer.from(String(key.export({ format: "jwk" }).d), "base64url"));
  });
}

async function unsealing<Found>(
  { dataDir }: Installation,
  secret: string,
  read: (opened: { readonly db: Database; readonly sealer: Sealer }) => Promise<Found>,
): Promise<Found> {
  const db = connectDatabase({ log: silentLog }, targetOf(dataDir));
  try {
    const request = { secret: Buffer.from(secret, "base64"), dataDir };
    const { kek } = await openKeyEncryptionKey({ db, randomBytes }, request);
    return await read({ db, sealer: await openSealer({ db, kek, now: Date.now, randomBytes }) });
  } finally {
    await db.close();
  }
}

/** A part of a JWT. */
export function encoded(part: unknown): string {
  return Buffer.from(typeof part === "string" ? part : JSON.stringify(part)).toString("base64url");
}
