import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import type { Client } from "@countersign/sdk/client/client";
import type { ReachItem } from "@countersign/sdk/contract/reach";
import type {
  RevocationReceiptClaims,
  RevocationReceiptWire,
} from "@countersign/sdk/contract/revocation-receipt";
import { listReach } from "@countersign/sdk/contract/revocations";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import {
  verifyReach,
  verifyRecordedRevocation,
  verifyRevocationReceipt,
} from "@countersign/sdk/verify/verify-revocation-receipt";
import type { Command } from "commander";
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet } from "jose";
import { z } from "zod";
import { agentRows } from "./ask-first.ts";
import { type Answer, type Cli, table, UsageError } from "./cli.ts";
import { getPublic, oncePublished } from "./connection.ts";
import { aVerifierKey, defineCommand, optional, repeated, someText } from "./define.ts";
import { verifierKeysOf } from "./keys.ts";
import { allItems } from "./list.ts";

const keySetSchema = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })) });
/** All that a stranger needs to check a receipt, in one file. */
const evidenceSchema = z.looseObject({
  receipt: z.string(),
  reach: z.array(z.unknown()),
  entry: z.string(),
  proof: z.string(),
  jwks: keySetSchema,
  vkeys: z.array(z.string()),
});
type Evidence = z.infer<typeof evidenceSchema>;

/** Writes a receipt with everything that shows it to be true into a new file. */
export async function writeEvidence(
  cli: Cli,
  client: Client,
  { receipt, ledger: { log, index } }: Pick<RevocationReceiptWire, "receipt" | "ledger">,
  file: string,
): Promise<void> {
  const path = `/log/${log}/entry/${index}`;
  const entry = await oncePublished(cli, () => client.fetchRaw({ method: "GET", path, scope: "audit" }));
  const proof = await oncePublished(cli, () => getPublic(cli, `/log/${log}/proof/${index}`));
  const evidence: Evidence = {
    receipt,
    reach: await allItems((query) => client.perform(listReach, { params: { index: String(index) }, query })),
    entry: await entry.text(),
    proof: await proof.text(),
    jwks: keySetSchema.parse(await (await getPublic(cli, "/jwks")).json()),
    vkeys: await verifierKeysOf(client, log),
  };
  await writeFile(file, `${JSON.stringify(evidence)}\n`, { flag: "wx", mode: 0o600 });
}

/** `countersign ledger verify-receipt`: offline, with nothing but the file and the keys that one trusts. */
export function addVerifyReceipt(ledger: Command, cli: Cli): void {
  defineCommand(ledger, cli, {
    usage: "verify-receipt <file>",
    description: "check a revocation's receipt, the list of what it reached and its entry, offline",
    example: "receipt.json --jwks issuer-keys.json --vkey 127.0.0.1:8460/log/default+1a2b3c4d+AX…",
    options: [
      optional("--jwks <file>", "the issuer's keys that you trust, as /jwks showed them"),
      repeated("--vkey <key>", "a key of the log that you trust, as `countersign keys list --json` shows it"),
    ],
    given: z.object({ file: someText, jwks: someText.optional(), vkey: z.array(aVerifierKey).default([]) }),
    run: async ({ file, jwks, vkey }) => {
      const evidence = await readJson(file, evidenceSchema, "what `revoke --out FILE` writes");
      const trusted =
        jwks === undefined ? undefined : await readJson(jwks, keySetSchema, "a key set, as /jwks shows it");
      return checkEvidence(evidence, trusted, vkey).catch(answerOf);
    },
  });
}

async function checkEvidence(
  evidence: Evidence,
  jwks: z.infer<typeof keySetSchema> | undefined,
  vkeys: readonly string[],
): Promise<Answer> {
  // The schema is what RFC 7517 asks of a set; which keys are fit is for the library to say.
  const keys = createLocalJWKSet((jwks ?? evidence.jwks) as JSONWebKeySet);
  const issuer = issuerOf(evidence.receipt);
  const receipt = await verifyRevocationReceipt(evidence.receipt, { issuer, keys });
  await verifyReach(receipt, evidence.reach);
  const trust = { vkeys: vkeys.length > 0 ? vkeys : evidence.vkeys };
  const { origin, size } = await verifyRecordedRevocation(receipt, evidence, trust);
  const given = { receipt: jwks !== undefined, log: vkeys.length > 0 };
  const keysAre = (mine: boolean, option: string) => (mine ? "yours" : `self-asserted: give ${option}`);
  return {
    json: { ok: true, receipt, log: { origin, size }, keys: given },
    text: `verified\n${table([
      ["issuer", issuer],
      ...receiptRows(receipt, evidence.reach.filter(isStopped)),
      ["entry", `${receipt.ledger.index} of ${origin}, under a checkpoint of ${size} entries`],
      ["issuer's keys", keysAre(given.receipt, "--jwks")],
      ["log's keys", keysAre(given.log, "--vkey")],
    ])}`,
  };
}

/** What a receipt says, by the list of what was reached: the same whoever reads it. */
export function receiptRows(
  { revoked, complete_as_of, counts }: Pick<RevocationReceiptClaims, "revoked" | "complete_as_of" | "counts">,
  reached: readonly Pick<ReachItem, "kind">[],
): [string, string | number][] {
  const stopped = reached.filter(({ kind }) => kind === "agent").length;
  return [
    ["revoked", `${revoked.kind} ${revoked.id}`],
    ["complete as of", complete_as_of],
    ["delegations ended with it", counts.delegations],
    ...agentRows(revoked.kind, counts.agents, stopped, "did"),
  ];
}

/** What is listed has been verified, or is not shown: only the kind is read of it. */
function isStopped(item: unknown): item is { readonly kind: "agent" } {
  return typeof item === "object" && item !== null && "kind" in item && item.kind === "agent";
}

/** Who says to have issued it: which is true if one of the issuer's keys signed it. */
function issuerOf(receipt: string): string {
  try {
    return decodeJwt(receipt).iss ?? "";
  } catch (error) {
    throw new VerificationError("malformed", "the receipt is not a signed JWT", error);
  }
}

function answerOf(error: unknown): Answer {
  if (!(error instanceof VerificationError)) throw error;
  const { code, message } = error;
  return {
    json: { ok: false, problem: { code, detail: message } },
    text: `NOT VERIFIED: ${message}`,
    refused: true,
  };
}

async function readJson<Value>(file: string, schema: z.ZodType<Value>, expected: string): Promise<Value> {
  if (!existsSync(file)) throw new UsageError(`${file} does not exist`);
  try {
    return schema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch (error) {
    throw new UsageError(`${file} does not hold ${expected}`, { cause: error });
  }
}
