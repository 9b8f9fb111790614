import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { Database } from "../../store/database.ts";
import { listCopiedNodes } from "../../store/nodes.ts";
import type { Finding } from "./finding.ts";

const copiesToldMs = 7 * 24 * 3_600_000;

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
