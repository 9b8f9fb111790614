import { z } from "zod";
import { changesChannel } from "./batch-statement.ts";
import type { Database } from "./database.ts";
import type { InsertTable } from "./table-columns.ts";
import { transitionTables } from "./transition-tables.ts";
import type { Transition } from "./write.ts";
import { announcedTables } from "./write-tables.ts";

/** A row that a commit made or changed. */
export interface Changed {
  readonly on: Transition["set"] | InsertTable;
  readonly id: string;
}

export interface ChangesListener {
  readonly changed: (changes: readonly Changed[]) => void;
  /** Anything may have changed: too much did at once to name it, or news was lost. */
  readonly lost: (why: "many" | "gap") => void;
}

/** Follows what any process changes. Whatever is not understood, as of a newer server's, may be anything. */
export function followChanges(
  db: Pick<Database, "listen">,
  { changed, lost }: ChangesListener,
): Promise<() => Promise<void>> {
  return db.listen(changesChannel, {
    onMessage: (payload) => {
      const read = changesSchema.safeParse(payload);
      if (read.success) changed(read.data);
      else lost("many");
    },
    onGap: () => lost("gap"),
  });
}

const tables = z.enum([
  ...(Object.keys(transitionTables) as Transition["set"][]),
  ...(Object.keys(announcedTables) as InsertTable[]),
]);
const changesSchema: z.ZodType<readonly Changed[], string> = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue("it is no list");
      return z.NEVER;
    }
  })
  .pipe(z.array(z.object({ on: tables, id: z.string() })));
