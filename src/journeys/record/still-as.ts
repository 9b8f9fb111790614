import { kindOfId } from "@countersign/sdk/model/ids";
import { assertNever } from "../../domain/assert-never.ts";
import type { Condition } from "../../store/write.ts";

/**
 * That a thing still has the status that its reader saw. Nothing for what has none of its own: then its commit demands
 * nothing beside what it always does.
 *
 * @param status as it was read; `inactive` is an active delegation above or around which something ended
 */
export function stillAs(id: string, status: string): Condition[] {
  const on = kindOfId(id);
  switch (on) {
    case "user":
    case "agent":
    case "resource":
    case "operator":
    case "delegation":
      return [{ on, id, status: [status === "inactive" ? "active" : status] }];
    case "credential":
    case "token":
    case "transaction":
    case "action":
    case undefined:
      return [];
    default:
      return assertNever(on);
  }
}
