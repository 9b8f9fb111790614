import { type LogId, logOf } from "@countersign/sdk/model/ids";
import type { Logger } from "pino";
import { agentHistory } from "../followers/agent-history/agent-history.ts";
import { type FollowLedgerDeps, followLedger } from "../followers/follow-ledger.ts";
import { createRevocationFeed, type RevocationFeed } from "../followers/revocations/revocation-feed.ts";
import { addAgentEntries } from "../store/agent-entries.ts";
import type { Database } from "../store/database.ts";
import { listFollowerBatches } from "../store/follower-cursors.ts";
import { findLog } from "../store/logs.ts";
import { listReach, listStoppedAgents } from "../store/reach.ts";
import { listRevocations } from "../store/revocations.ts";
import type { Closing } from "./closing.ts";
import { onPublished } from "./on-published.ts";

/**
 * Opens everything that follows the ledger, woken whenever any process publishes a checkpoint.
 *
 * @returns the feed of revocations, whose readers have cursors of their own
 */
export async function openFollowers(db: Database, logger: Logger, closing: Closing): Promise<RevocationFeed> {
  const deps: FollowLedgerDeps = {
    listBatches: ({ name, entriesAtOnce }, logs) => listFollowerBatches(db, name, entriesAtOnce, logs),
    onFailed: (err, follower, log) => logger.error({ err, follower, log }, "a follower failed"),
  };
  const history = agentHistory({ addAgentEntries: (batch) => addAgentEntries(db, batch) });
  const feed = createRevocationFeed({
    publishedSize: async (organization) => (await findLog(db, logOf(organization)))?.publishedSize ?? 0,
    listRevocations: (organization, page) => listRevocations(db, organization, page),
    listReach: (revocation, page) => listReach(db, revocation, page),
    listStoppedAgents: (revocation, page) => listStoppedAgents(db, revocation, page),
  });
  const all = [closing.closes(followLedger(deps, history)), feed];
  const wake = (log?: LogId) => {
    for (const one of all) one.wake(log);
  };
  await onPublished(db, closing, wake);
  wake();
  return feed;
}
