import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type LedgerEntry, ledgerEntrySchema } from "@countersign/sdk/contract/ledger-entry";
import { consistencyProofSchema } from "@countersign/sdk/contract/log-proofs";
import { signingKeyListSchema } from "@countersign/sdk/contract/signing-keys";
import { canonicalJson, type JsonValue } from "@countersign/sdk/model/canonical-json";
import { fromBase64 } from "@countersign/sdk/tlog/base64";
import { type Checkpoint, openCheckpoint } from "@countersign/sdk/tlog/checkpoint";
import { parseExportRecord } from "@countersign/sdk/tlog/export-record";
import { verifyConsistency } from "@countersign/sdk/tlog/proof";
import { parseVerifierKey } from "@countersign/sdk/tlog/vkey";
import { expect } from "vitest";
import { z } from "zod";
import { type Installation, until } from "../server.ts";
import type { Acknowledged } from "./load.ts";

/** A log as a stranger has it who got its export and its key. */
export interface Evidence {
  readonly vkey: string;
  readonly size: number;
  /** By index. */
  readonly entries: readonly LedgerEntry[];
  /** Where the log says that it went on from an older state. */
  readonly recoveries: readonly number[];
}

const verdictSchema = z.looseObject({
  ok: z.boolean(),
  size: z.number(),
  keys: z.literal("given"),
  recoveries: z.array(z.number()),
});

/** The key by which strangers know the log `default`. */
export async function verifierKeyOf(installation: Installation): Promise<string> {
  const { out } = await installation.run("keys", "list", "--json");
  const items = signingKeyListSchema.shape.items.parse(JSON.parse(out));
  const vkey = items.find(({ log, status }) => log === "default" && status === "active")?.vkey;
  if (vkey === undefined) throw new Error("the log has no verifier key");
  return vkey;
}

/**
 * Exports the log as an auditor does, once a checkpoint covers all that happened so far, verifies the export offline,
 * and reads it. The server at the issuer's address must run.
 */
export async function exportLog(installation: Installation, vkey: string): Promise<Evidence> {
  await untilPublished(installation);
  const file = join(installation.dataDir, "export.ndjson");
  rmSync(file, { force: true });
  expect(await installation.run("ledger", "export", "--out", file)).toMatchObject({ code: 0 });
  const verified = await installation.run("ledger", "verify", file, "--vkey", vkey, "--json");
  expect(verified).toMatchObject({ code: 0 });
  const { size, recoveries } = verdictSchema.parse(JSON.parse(verified.out));
  const entries = readFileSync(file, "utf8")
    .split("\n")
    .map(parseExportRecord)
    .filter((record) => record?.kind === "entry");
  expect(entries.map(({ index }) => index)).toEqual(entries.map((_, place) => place));
  expect(entries).toHaveLength(size);
  return {
    vkey,
    size,
    recoveries,
    entries: entries.map(({ entry }) => ledgerEntrySchema.parse(JSON.parse(entry))),
  };
}

/** Waits until a checkpoint covers every entry that is there now: the issuance of an operator's token comes last. */
async function untilPublished(installation: Installation): Promise<void> {
  const client = await installation.operatorAt({ url: installation.issuer });
  const { ledger } = await client.requestToken({ resource: `${installation.issuer}/v1`, scope: "audit" });
  const path = `/log/default/proof/inclusion/${ledger?.index}`;
  await until("a checkpoint", async () => (await fetch(`${installation.issuer}${path}`)).ok);
}

/** Each token that was handed out has, where its response said, the entry that holds the hash of its very claims. */
export function expectRecorded({ entries }: Evidence, acknowledged: readonly Acknowledged[]): void {
  const unrecorded = acknowledged.filter(({ index, claims }) => {
    const entry = entries[index];
    return entry?.type !== "token.issued" || entry.jti !== claims.jti || entry.claims_hash !== hashOf(claims);
  });
  expect(unrecorded).toEqual([]);
  // Two tokens that cite one entry would hide that one of them has none.
  expect(new Set(acknowledged.map(({ index }) => index)).size).toBe(acknowledged.length);
}

function hashOf(claims: Acknowledged["claims"]): string {
  // Claims come from JSON; the schema only lost that.
  const octets = canonicalJson(claims as JsonValue);
  return createHash("sha256").update(octets).digest("base64url");
}

/** The log's checkpoint as anybody sees it, its signature verified. */
export async function seeCheckpoint(server: { readonly url: string }, vkey: string): Promise<Checkpoint> {
  let note = "";
  // Whoever asks while its database is lost is told to come back.
  await until("a checkpoint to be shown", async () => {
    const response = await fetch(`${server.url}/log/default/checkpoint`);
    note = await response.text();
    return response.ok;
  });
  return openNote(note, vkey);
}

/** What a signed checkpoint says. @throws when the key did not sign it */
export async function openNote(note: string, vkey: string): Promise<Checkpoint> {
  const key = parseVerifierKey(vkey);
  const opened = await openCheckpoint(note, { logKeys: key === undefined ? [] : [key] });
  if (!opened.ok) throw new Error(opened.why);
  return opened.checkpoint;
}

/** Whether the second tree only adds to the first, by the proof that the server gives. */
export async function continues(
  server: { readonly url: string },
  from: Checkpoint,
  to: Checkpoint,
): Promise<boolean> {
  const query = `from=${from.size}&to=${to.size}`;
  const response = await fetch(`${server.url}/log/default/proof/consistency?${query}`);
  if (!response.ok) return false;
  const { hashes } = consistencyProofSchema.parse(await response.json());
  const proof = hashes.map((hash) => fromBase64(hash) ?? new Uint8Array(0));
  return verifyConsistency({ from: from.size, fromRoot: from.root, to: to.size, toRoot: to.root, proof });
}
