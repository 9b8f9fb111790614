import type { NodeChange } from "@countersign/sdk/contract/node-face";
import type { NodeId } from "@countersign/sdk/model/ids";
import { agentOfApproval } from "../domain/agent-checksum.ts";
import { changesChannel } from "../store/batch-statement.ts";
import type { Database } from "../store/database.ts";
import { listTouchedNodes } from "../store/nodes.ts";
import type { Closing } from "./closing.ts";

export interface WatchNodesDeps {
  readonly db: Database;
  readonly closing: Closing;
  /** Calls back whenever the trust bundle, or an authority, changed. */
  readonly onKeys: (listener: () => void) => () => void;
  /** Ids of the authorities that are tainted. */
  readonly taintedIds: () => readonly string[];
  readonly onFailed: (error: unknown) => void;
}

type Listener = (change: NodeChange | "ended") => void;

/** Who is told of changes that are of one node. */
export interface NodeChanges {
  /** @returns a function that ends it */
  readonly follow: (node: NodeId, listener: Listener) => () => void;
}

const lost: NodeChange = { ids: [], bundles: true, lost: true };

/** Tells the nodes that are connected here of what any process changed of what they hold. */
export async function watchNodes(deps: WatchNodesDeps): Promise<NodeChanges> {
  const { db, closing, onFailed } = deps;
  const listeners = new Map<string, Set<Listener>>();
  const tell = (node: string, change: NodeChange | "ended") => {
    for (const listener of listeners.get(node) ?? []) listener(change);
  };
  const tellAll = (change: NodeChange) => {
    for (const node of listeners.keys()) tell(node, change);
  };

  async function tellTouched(ids: readonly string[]): Promise<void> {
    for (const { node, ids: touched } of await listTouchedNodes(db, ids.map(rowOf)))
      tell(node, { ids: ids.filter((id) => touched.includes(rowOf(id))), bundles: false, lost: false });
  }

  closing.add(
    await db.listen(changesChannel, {
      onMessage: (payload) => {
        if (listeners.size === 0) return;
        if (payload === "*") return tellAll(lost);
        const changed: { readonly on: string; readonly id: string }[] = JSON.parse(payload);
        for (const { on, id } of changed) if (on === "node") tell(id, "ended");
        const ids = changed.filter(({ on }) => entriesRestOn.has(on)).map(({ id }) => id);
        if (ids.length === 0) return;
        tellTouched(ids).catch((error: unknown) => {
          onFailed(error);
          tellAll(lost);
        });
      },
      onGap: () => tellAll(lost),
    }),
  );
  const stop = deps.onKeys(() => tellAll({ ids: [...deps.taintedIds()], bundles: true, lost: false }));
  closing.add(async () => stop());
  return {
    follow(node, listener) {
      const those = listeners.get(node) ?? new Set();
      listeners.set(node, those.add(listener));
      return () => {
        those.delete(listener);
        if (those.size === 0 && listeners.get(node) === those) listeners.delete(node);
      };
    },
  };
}

const entriesRestOn: ReadonlySet<string> = new Set(["registration_entry", "agent", "user", "agent_checksum"]);

/** An approval is of its agent: an entry names no other. */
function rowOf(id: string): string {
  return id.includes(".") ? agentOfApproval(id) : id;
}
