import { type LogId, parseLogId } from "@countersign/sdk/model/ids";
import type { Database } from "../store/database.ts";
import { publishedChannel } from "../store/logs.ts";
import type { Closing } from "./closing.ts";

// A notification may have been lost: nobody waits longer than this for what it told.
const wakeEveryMs = 5_000;

/** Calls `wake` whenever any process may have published a checkpoint: of this log, or of any where none is named. */
export async function onPublished(
  db: Database,
  closing: Closing,
  wake: (log?: LogId) => void,
): Promise<void> {
  const unlisten = await db.listen(publishedChannel, {
    onMessage: (text) => wake(parseLogId(text)),
    onGap: wake,
  });
  const timer = setInterval(wake, wakeEveryMs);
  closing.add(async () => {
    clearInterval(timer);
    await unlisten();
  });
}
