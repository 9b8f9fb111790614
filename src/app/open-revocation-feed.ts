import { logOf, parseOrganizationId } from "@countersign/sdk/model/ids";
import { createRevocationFeed, type RevocationFeed } from "../followers/revocations/revocation-feed.ts";
import type { Database } from "../store/database.ts";
import { findLog } from "../store/logs.ts";
import { listReach, listStoppedAgents } from "../store/reach.ts";
import { listRevocations } from "../store/revocations.ts";
import type { Closing } from "./closing.ts";
import { onPublished } from "./on-published.ts";

/** The feed of revocations, woken whenever any process publishes a checkpoint. */
export async function openRevocationFeed(db: Database, closing: Closing): Promise<RevocationFeed> {
  const feed = createRevocationFeed({
    publishedSize: async (organization) => (await findLog(db, logOf(organization)))?.publishedSize ?? 0,
    listRevocations: (organization, page) => listRevocations(db, organization, page),
    listReach: (revocation, page) => listReach(db, revocation, page),
    listStoppedAgents: (revocation, page) => listStoppedAgents(db, revocation, page),
  });
  await onPublished(db, closing, (log) => {
    const organization = log === undefined ? undefined : parseOrganizationId(log);
    if (log === undefined || organization !== undefined) feed.wake(organization);
  });
  return feed;
}
