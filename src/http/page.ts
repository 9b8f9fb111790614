import type { ListQuery } from "@countersign/sdk/contract/fields";
import type { PageRequest } from "./admin-deps.ts";

/** What a list's query asks of the store. */
export function pageAfter({ cursor, limit }: ListQuery): PageRequest {
  return { limit, after: cursor };
}

/** A page on the wire: a full one says where the next begins. */
export function pageOf<Item extends { readonly id: string }>({ limit }: ListQuery, items: readonly Item[]) {
  const last = items.at(-1);
  return { items, ...(last !== undefined && items.length >= limit && { next: last.id }) };
}
