import type { LedgerActor, LedgerEntryType } from "@countersign/sdk/contract/ledger-entry";
import { systemLog } from "@countersign/sdk/model/ids";
import { DomainError } from "../../domain/domain-error.ts";
import { newSigningKey } from "../../keys/signing-key.ts";
import {
  listSigningKeys,
  type StoredJwtKey,
  type StoredSigningKey,
  type StoredX509Authority,
} from "../../store/signing-keys.ts";
import type { Write } from "../../store/write.ts";
import { appendDemanded } from "../record/append-demanded.ts";
import { type RequestContext, requestOf } from "../record/record.ts";
import { type AuthorityDeps, prepareAuthority } from "./authorities.ts";
import { type Succession, successionOf } from "./rotate.ts";

export interface AuthorityRequest {
  readonly id: string;
  readonly by: LedgerActor;
  readonly context: RequestContext;
}

type Authority = StoredJwtKey | StoredX509Authority;

/**
 * Marks an authority of the trust domain that may be compromised: it signs nothing more, what it signed is given out no
 * more, and whoever holds such an SVID gets another. Where it was the one that signs, its successor signs in the same
 * commit, though not everybody knows it yet. It stays in the trust bundle until it is withdrawn, so that nothing breaks
 * while SVIDs are renewed.
 *
 * @throws DomainError `not_found` for what is no authority, `conflict` for one that is tainted or withdrawn already, or
 *   changed meanwhile; or as AppendEntry does
 */
export async function taintAuthority(deps: AuthorityDeps, request: AuthorityRequest): Promise<void> {
  const authority = await findAuthority(deps, request.id);
  const { id, purpose, status } = authority;
  if (status === "tainted" || status === "withdrawn")
    throw new DomainError("conflict", `it is ${status} already`);
  const { activated, detail = {}, writes = [] } = await successionTo(deps, authority, request.by);
  await change(deps, request, "key.tainted", {
    detail: { purpose, tainted: id, ...detail, ...(activated !== undefined && { activated }) },
    writes: [{ set: "signing_key", id, from: [status], to: "tainted" }, ...writes],
  });
}

/**
 * Takes a tainted authority out of the trust bundle: nothing that it signed verifies any more, here and wherever the
 * bundle is looked for anew.
 *
 * @throws DomainError `not_found`, and `conflict` for one that is not tainted; or as AppendEntry does
 */
export async function withdrawAuthority(deps: AuthorityDeps, request: AuthorityRequest): Promise<void> {
  const { id, purpose, status } = await findAuthority(deps, request.id);
  if (status !== "tainted")
    throw new DomainError(
      "conflict",
      "only a tainted authority is withdrawn: taint it, and let SVIDs be renewed first",
    );
  await change(deps, request, "key.withdrawn", {
    detail: { purpose, withdrawn: id },
    writes: [{ set: "signing_key", id, from: ["tainted"], to: "withdrawn" }],
  });
}

async function change(
  deps: AuthorityDeps,
  { by, context }: AuthorityRequest,
  type: LedgerEntryType,
  {
    detail,
    writes,
  }: { readonly detail: Readonly<Record<string, string>>; readonly writes: readonly Write[] },
): Promise<void> {
  const entry = { actor: by, ...requestOf(context), detail };
  const refusal = {
    code: "conflict",
    publicDetail: "it was changed meanwhile",
    reason: "changed meanwhile",
  } as const;
  const appended = await appendDemanded(
    deps,
    systemLog,
    {
      entry: { ...entry, type },
      refused: { ...entry, type: "mutation.refused", action: type },
      refusalOf: () => refusal,
      writes,
      conditions: [],
    },
    context.demands,
  );
  await deps.reloadKeys();
  if (!appended.committed) throw new DomainError(appended.refusal.code, appended.refusal.publicDetail);
}

async function findAuthority({ db }: AuthorityDeps, id: string): Promise<Authority> {
  const key = (await listSigningKeys(db, new Date(0))).find((one) => one.id === id);
  if (key === undefined || !isAuthority(key))
    throw new DomainError("not_found", "there is no such authority");
  return key;
}

function isAuthority(key: StoredSigningKey): key is Authority {
  return key.purpose === "x509_authority" || key.purpose === "jwt_authority";
}

/** What comes in the place of one that is tainted: what signs from now on, or what is to follow the one that does. */
async function successionTo(
  deps: AuthorityDeps,
  authority: Authority,
  by: LedgerActor,
): Promise<Partial<Succession>> {
  const { purpose, status } = authority;
  const signs = status === "active";
  const next = signs ? await findNext(deps, authority) : undefined;
  if (next !== undefined) return successionOf(deps, { ...authority, nextId: next.id });
  if (purpose === "jwt_authority") return signs || status === "next" ? newJwtKeys(deps, signs) : {};
  return signs ? successionOf(deps, { ...authority, nextId: (await prepared(deps, authority, by)).id }) : {};
}

/** A JWT authority always has one to follow it: else it could neither be rotated nor tainted. */
async function newJwtKeys(deps: AuthorityDeps, signs: boolean): Promise<Partial<Succession>> {
  const next = await newSigningKey(deps, { purpose: "jwt_authority" }, "next");
  const following: Write = { into: "signing_key", row: next };
  const detail = { next: next.id, next_public_jwk: next.public_jwk };
  if (!signs) return { detail, writes: [following] };
  const active = await newSigningKey(deps, { purpose: "jwt_authority" }, "active");
  return {
    activated: active.id,
    detail: { ...detail, active_public_jwk: active.public_jwk },
    writes: [{ into: "signing_key", row: active }, following],
  };
}

async function prepared(
  deps: AuthorityDeps,
  authority: Authority,
  by: LedgerActor,
): Promise<StoredSigningKey> {
  await prepareAuthority(deps, "next", by);
  const next = await findNext(deps, authority);
  if (next === undefined) throw new DomainError("conflict", "its successor could not be prepared: try again");
  return next;
}

async function findNext(
  { db, now }: AuthorityDeps,
  { purpose }: Authority,
): Promise<StoredSigningKey | undefined> {
  const keys = await listSigningKeys(db, new Date(now()));
  return keys.find((key) => key.purpose === purpose && key.status === "next");
}
