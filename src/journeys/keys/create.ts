import type { LedgerActor } from "@countersign/sdk/contract/ledger-entry";
import { type LogId, systemLog } from "@countersign/sdk/model/ids";
import { DomainError } from "../../domain/domain-error.ts";
import { vkeyOf } from "../../keys/log-signer.ts";
import { type NewSigningKeyDeps, newSigningKey, parsePublicJwk } from "../../keys/signing-key.ts";
import type { AppendEntry, AppendRequest } from "../../ledger/append.ts";
import type { Database } from "../../store/database.ts";
import { listSigningKeys, type StoredJwtKey, type StoredSigningKey } from "../../store/signing-keys.ts";

export interface CreateKeysDeps extends NewSigningKeyDeps {
  readonly db: Database;
  readonly append: AppendEntry;
  /** Makes this process use what was made. */
  readonly reloadKeys: () => Promise<void>;
}

export interface CreateKeysRequest {
  /** The logs that must have a key. */
  readonly logs: readonly LogWithoutKey[];
  readonly by: LedgerActor;
}

interface LogWithoutKey {
  readonly id: LogId;
  readonly origin: string;
}

/**
 * Makes the keys that are missing: the active and the next one of tokens and of JWT-SVIDs, and one for each log. Called at every start;
 * where nothing is missing it does nothing, and of several processes that start at once one makes each key.
 *
 * @throws DomainError as AppendEntry does
 */
export async function createKeys(deps: CreateKeysDeps, { logs, by }: CreateKeysRequest): Promise<void> {
  const active = (await listSigningKeys(deps.db, new Date(deps.now()))).filter(
    ({ status }) => status === "active",
  );
  for (const purpose of ["token", "jwt_authority"] as const) {
    if (!active.some((key) => key.purpose === purpose))
      await appendNew(deps, await newJwtKeys(deps, purpose, by));
  }
  for (const log of logs) {
    if (!active.some((key) => isKeyOf(key, log))) await appendNew(deps, await newLogKey(deps, log, by));
  }
  await deps.reloadKeys();
}

function isKeyOf(key: StoredSigningKey, log: LogWithoutKey): boolean {
  return key.purpose === "log" && key.log === log.id;
}

async function appendNew({ append }: CreateKeysDeps, request: AppendRequest): Promise<void> {
  try {
    await append(systemLog, request);
  } catch (error) {
    // Another process was first, and its keys stand.
    if (!(error instanceof DomainError && error.code === "conflict")) throw error;
  }
}

async function newJwtKeys(
  deps: CreateKeysDeps,
  purpose: StoredJwtKey["purpose"],
  by: LedgerActor,
): Promise<AppendRequest> {
  const active = await newSigningKey(deps, { purpose }, "active");
  const next = await newSigningKey(deps, { purpose }, "next");
  return {
    entry: {
      type: "key.created",
      actor: by,
      detail: {
        purpose,
        active: active.id,
        next: next.id,
        active_public_jwk: active.public_jwk,
        next_public_jwk: next.public_jwk,
      },
    },
    writes: [
      { into: "signing_key", row: active },
      { into: "signing_key", row: next },
    ],
  };
}

async function newLogKey(deps: CreateKeysDeps, log: LogWithoutKey, by: LedgerActor): Promise<AppendRequest> {
  const active = await newSigningKey(deps, { purpose: "log", log: log.id }, "active");
  const vkey = vkeyOf(log.origin, parsePublicJwk(active.public_jwk));
  return {
    entry: {
      type: "key.created",
      actor: by,
      detail: { purpose: "log", log: log.id, active: active.id, vkey },
    },
    writes: [{ into: "signing_key", row: active }],
  };
}
