import type { Database } from "../../store/database.ts";
import { listSigningKeys, type StoredSigningKey } from "../../store/signing-keys.ts";
import type { Finding } from "./finding.ts";

/** How the trust domain is: who signs its SVIDs, and who comes next. */
export async function trustDomainFindings(db: Database, nowMs: number): Promise<readonly Finding[]> {
  const keys = await listSigningKeys(db, new Date(nowMs));
  return [
    { name: "X.509 authority", ...authorityFinding(keys, "x509_authority", nowMs) },
    { name: "JWT authority", ...authorityFinding(keys, "jwt_authority", nowMs) },
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
