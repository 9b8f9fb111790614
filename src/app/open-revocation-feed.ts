import { logOf, parseOrganizationId } from "@countersign/sdk/model/ids";
import { createRevocationFeed, type RevocationFeed } from "../followers/revocations/revocation-feed.ts";
import type { Database } from "../store/database.ts";
import { findLog, publishedChannel } from "../store/logs.ts";
import { listReach, listStoppedAgents } from "../store/reach.ts";
import { listRevocations } from "../store/revocations.ts";
import type { Closing } from "./closing.ts";

// A notification may have been lost: nobody waits longer than this for what it told.
const wakeEveryMs = 5_000;

/** The feed of revocations, woken whenever any process publishes a checkpoint. */
export async function openRevocationFeed(db: Database, closing: Closing): Promise<RevocationFeed> {
  const feed = createRevocationFeed({
    publishedSize: async (organization) => (await findLog(db, logOf(organization)))?.publishedSize ?? 0,
    listRevocations: (organization, page) => listRevocations(db, organization, page),
    listReach: (revocation, page) => listReach(db, revocation, page),
    listStoppedAgents: (revocation, page) => listStoppedAgents(db, revocation, page),
  });
  const unlisten = await db.listen(publishedChannel, {
    onMessage: (log) => {
      const organization = parseOrganizationId(log);
      if (organization !== undefined) feed.wake(organization);
    },
    onGap: () => feed.wake(),
  });
  const timer = setInterval(() => feed.wake(), wakeEveryMs);
  closing.add(async () => {
    clearInterval(timer);
    await unlisten();
  });
  return feed;
}
