import type { ServerStatusWire } from "@countersign/sdk/contract/server-status";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { Database } from "../store/database.ts";
import { listCopiedNodes } from "../store/nodes.ts";
import { listSigningKeys, type StoredSigningKey } from "../store/signing-keys.ts";
import type { OpenLedger } from "./open-ledger.ts";
import type { ServedWorkloads } from "./open-svids.ts";

type Finding = ServerStatusWire["checks"][number];

/** Which nodes somebody has, or had, a copy of the identity of: told for a week. */
export async function copiedNodeFindings(
  db: Database,
  organization: OrganizationId,
  nowMs: number,
): Promise<Finding[]> {
  const copied = await listCopiedNodes(db, organization, new Date(nowMs - copiesToldMs));
  return copied.map(({ id, shownAtMs }) => ({
    name: "node",
    state: "warning",
    detail: `${id}: an SVID that another had followed was shown at ${new Date(shownAtMs).toISOString()}: somebody has a copy, or had one; \`node join-token --node ${id}\` gives it another identity, \`node evict ${id}\` ends it`,
  }));
}

const copiesToldMs = 7 * 24 * 3_600_000;

/** How the trust domain is: who signs its SVIDs and who comes next, and whether workloads are served. */
export async function trustDomainFindings(
  { db }: Pick<OpenLedger, "db">,
  workloads: ServedWorkloads | undefined,
  now = Date.now,
): Promise<Finding[]> {
  const keys = await listSigningKeys(db, new Date(now()));
  return [
    { name: "X.509 authority", ...authorityFinding(keys, "x509_authority", now()) },
    { name: "JWT authority", ...authorityFinding(keys, "jwt_authority", now()) },
    ...(workloads === undefined ? [] : [{ name: "Workload API", ...socketFinding(workloads) }]),
  ];
}

function authorityFinding(
  keys: readonly StoredSigningKey[],
  purpose: "x509_authority" | "jwt_authority",
  nowMs: number,
): Omit<Finding, "name"> {
  const inState = (wanted: string) =>
    keys.filter(
      (key) => key.purpose === purpose && key.status === wanted && (endOf(key) ?? Infinity) > nowMs,
    );
  const [active] = inState("active");
  if (active === undefined) return { state: "failed", detail: "none signs: no SVID is issued" };
  const [next] = inState("next");
  const end = endOf(active);
  const until = end === undefined ? "" : ` until ${new Date(end).toISOString()}`;
  const tainted = inState("tainted").length;
  const detail = `one signs${until}; ${next === undefined ? "no successor is prepared yet" : "its successor is prepared"}`;
  return tainted === 0
    ? { state: "ok", detail }
    : { state: "warning", detail: `${detail}; tainted and not withdrawn yet: ${tainted}` };
}

function endOf(key: StoredSigningKey): number | undefined {
  return key.purpose === "x509_authority" ? key.notAfter.getTime() : undefined;
}

function socketFinding({ notServed }: ServedWorkloads): Omit<Finding, "name"> {
  const reason = notServed();
  return reason === undefined
    ? { state: "ok", detail: "served at workload.sock in the data directory" }
    : { state: "warning", detail: `not served: ${reason}` };
}
