import type { Logger } from "pino";
import { agentHistory } from "../followers/agent-history/agent-history.ts";
import { type FollowLedgerDeps, followLedger } from "../followers/follow-ledger.ts";
import type { RevocationFeed } from "../followers/revocations/revocation-feed.ts";
import { addAgentEntries } from "../store/agent-entries.ts";
import type { Database } from "../store/database.ts";
import { listFollowerBatches } from "../store/follower-cursors.ts";
import type { Closing } from "./closing.ts";
import { onPublished } from "./on-published.ts";
import { openRevocationFeed } from "./open-revocation-feed.ts";

/**
 * Opens everything that follows the ledger, woken whenever any process publishes a checkpoint.
 *
 * @returns the feed of revocations, whose readers have cursors of their own
 */
export async function openFollowers(db: Database, logger: Logger, closing: Closing): Promise<RevocationFeed> {
  const deps: FollowLedgerDeps = {
    listBatches: (follower, entriesMax) => listFollowerBatches(db, follower, entriesMax),
    onFailed: (err, follower, log) => logger.error({ err, follower, log }, "a follower failed"),
  };
  const followers = [agentHistory({ addAgentEntries: (batch) => addAgentEntries(db, batch) })];
  for (const follower of followers) {
    const following = closing.closes(followLedger(deps, follower));
    await onPublished(db, closing, () => following.wake());
    following.wake();
  }
  return await openRevocationFeed(db, closing);
}
