import type { NodeChange } from "@countersign/sdk/contract/node-face";
import type { NodeId } from "@countersign/sdk/model/ids";
import { agentOfApproval } from "../domain/agent-checksum.ts";
import type { Database } from "../store/database.ts";
import { type Changed, followChanges } from "../store/follow-changes.ts";
import { listTouchedNodes } from "../store/nodes.ts";
import type { Closing } from "./closing.ts";
import { svidsRestOn } from "./svids-rest-on.ts";

export interface WatchNodesDeps {
  readonly db: Database;
  readonly closing: Closing;
  /** Calls back whenever the trust bundle, or an authority, changed. */
  readonly onKeys: (listener: () => void) => () => void;
  /** Calls back whenever a foreign trust bundle changed. */
  readonly onForeign: (listener: () => void) => void;
  /** Ids of the authorities that are tainted, of either kind, or were withdrawn. */
  readonly taintedIds: () => readonly string[];
  readonly onFailed: (error: unknown) => void;
}

type Listener = (change: NodeChange | "ended") => void;

/** Who is told of changes that are of one node. */
export interface NodeChanges {
  /** Tells at once that anything may have changed. @returns a function that ends it */
  readonly follow: (node: NodeId, listener: Listener) => () => void;
}

/** Tells the nodes that are connected here of what any process changed of what they hold. */
export async function watchNodes(deps: WatchNodesDeps): Promise<NodeChanges> {
  const { db, closing, onFailed, taintedIds } = deps;
  const listeners = new Map<string, Set<Listener>>();
  const tell = (node: string, change: NodeChange | "ended") => {
    for (const listener of listeners.get(node) ?? []) listener(change);
  };
  const renewed = (): NodeChange => ({ ids: [...taintedIds()], bundles: true, lost: false });
  // Of an authority that was tainted in between no entry tells.
  const lost = (): NodeChange => ({ ...renewed(), lost: true });
  const tellAll = (change: NodeChange) => {
    for (const node of listeners.keys()) tell(node, change);
  };

  async function tellTouched(changes: readonly Changed[]): Promise<void> {
    const ids = changes.map(({ id }) => id);
    // Another entry may federate with another trust domain.
    const entries = new Set(changes.filter(({ on }) => on === "registration_entry").map(({ id }) => id));
    for (const { node, ids: touched } of await listTouchedNodes(db, ids.map(rowOf))) {
      const told = ids.filter((id) => touched.includes(rowOf(id)));
      tell(node, { ids: told, bundles: told.some((id) => entries.has(id)), lost: false });
    }
  }

  closing.add(
    await followChanges(db, {
      changed: (changes) => {
        if (listeners.size === 0) return;
        for (const { on, id } of changes) if (on === "node") tell(id, "ended");
        const touching = changes.filter(({ on }) => svidsRestOn.has(on));
        if (touching.length === 0) return;
        tellTouched(touching).catch((error: unknown) => {
          onFailed(error);
          tellAll(lost());
        });
      },
      lost: () => tellAll(lost()),
    }),
  );
  deps.onForeign(() => tellAll({ ids: [], bundles: true, lost: false }));
  const stop = deps.onKeys(() => tellAll(renewed()));
  closing.add(async () => stop());
  return {
    follow(node, listener) {
      const those = listeners.get(node) ?? new Set();
      listeners.set(node, those.add(listener));
      listener(lost());
      return () => {
        those.delete(listener);
        if (those.size === 0 && listeners.get(node) === those) listeners.delete(node);
      };
    },
  };
}

/** An approval is of its agent: an entry names no other. */
function rowOf(id: string): string {
  return id.includes(".") ? agentOfApproval(id) : id;
}
