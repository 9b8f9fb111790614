import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { assertNever } from "../../domain/assert-never.ts";
import { DomainError } from "../../domain/domain-error.ts";
import type { RecordedSvid } from "../../store/svids.ts";
import type { Condition } from "../../store/write.ts";
import { reasonOf } from "../record/append-demanded.ts";
import { active } from "../record/conditions.ts";
import type { AssertionProof, SvidProof } from "../record/proof.ts";
import {
  notProven,
  type RecordDeps,
  type RequestContext,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";
import { assertionTrail, unmapped } from "../trust/unmapped.ts";

export interface ProvenDeps extends Pick<RecordDeps, "recordRefusal"> {
  /** Not a cached read. */
  readonly findSvid: (organization: OrganizationId, id: string) => Promise<RecordedSvid | undefined>;
}

/** That an SVID which an authority of ours signed is in no record: somebody else has the authority's key. */
export class UnrecordedSvid extends DomainError {
  constructor() {
    super("unauthenticated", notProven);
  }
}

/**
 * What must still be true of how a client proved to be who it is when anything is issued for it. What an SVID buys rests
 * on what the SVID itself does: entry, agent, node and configuration, and on that neither agent nor node was stopped since.
 *
 * @throws UnrecordedSvid for an SVID that was never recorded, or as something else; DomainError `unauthenticated` for one
 *   whose grounds are gone, `ledger_unavailable`; all are recorded
 */
export async function provenConditions(
  deps: ProvenDeps,
  client: Principal,
  context: RequestContext,
  asked: Trail,
): Promise<readonly Condition[]> {
  const { restsOn: proof } = context;
  if (proof === undefined) return [];
  switch (proof.kind) {
    case "svid":
      return svidConditions(deps, client, proof, asked);
    case "assertion":
      return assertionConditions(client, proof);
    case "new_subject": {
      // Nobody can have given it anything: it is made an agent of where it asks for itself.
      const trail = assertionTrail({ id: proof.trustedIssuer, organization: client.organization }, context);
      throw await refuse(deps, "token.refused", trail, proof.trustedIssuer, unmapped("unauthenticated"));
    }
    default:
      return assertNever(proof);
  }
}

function assertionConditions(
  client: Principal,
  { trustedIssuer, mapping, rule, checksum }: AssertionProof,
): readonly Condition[] {
  return [
    active("trusted_issuer", trustedIssuer),
    active("subject_mapping", mapping),
    ...(rule === undefined ? [] : [active("subject_mapping", rule)]),
    { on: "approved_checksum", id: client.id, checksum: checksum ?? null },
  ];
}

/** A client, and by what it proved to be that. */
export interface ProvenClient {
  readonly client: Principal;
  readonly context: RequestContext;
}

/**
 * The same of a client that asks for nothing which is issued: that it still stands now.
 *
 * @throws as `provenConditions` does
 */
export async function demandProven(deps: ProvenDeps, { client, context }: ProvenClient): Promise<void> {
  await provenConditions(deps, client, context, { ...trailOf(client, context), action: "identity.assert" });
}

async function svidConditions(
  deps: ProvenDeps,
  client: Principal,
  svid: SvidProof,
  asked: Trail,
): Promise<readonly Condition[]> {
  const recorded = await deps.findSvid(client.organization, svid.id);
  if (recorded === undefined || recorded.agent !== client.id || recorded.claimsHash !== svid.claimsHash) {
    await refuse(deps, "token.refused", asked, "svid", unrecorded);
    throw new UnrecordedSvid();
  }
  const { agent, entry, node, checksum, issuedAtMs, stands } = recorded;
  const unstoppedSince = new Date(issuedAtMs).toISOString();
  const ground = (stood: boolean, condition: Condition) => ({ stands: stood, condition });
  const grounds = [
    ground(stands.entry, active("registration_entry", entry)),
    ground(stands.agent, { ...active("agent", agent), unstoppedSince }),
    ...(node === undefined ? [] : [ground(stands.node, { ...active("node", node), unstoppedSince })]),
    ground(stands.checksum, { on: "approved_checksum", id: agent, checksum: checksum ?? null }),
  ];
  const gone = grounds.filter((ground) => !ground.stands).map(({ condition }) => condition);
  if (gone.length > 0)
    throw await refuse(deps, "token.refused", asked, entry, {
      code: "unauthenticated",
      publicDetail: notProven,
      reason: reasonOf(gone),
    });
  return grounds.map(({ condition }) => condition);
}

const unrecorded = { ...plainRefusal("unauthenticated", notProven), reason: "no record tells of this SVID" };
