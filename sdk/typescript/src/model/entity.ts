import type { Brand } from "./brand.ts";
import { parsePath } from "./path.ts";

/** What a resource server guards, or who asks it for something, as `type:path`: `record:record-1`, `file:/home/a`. */
export type EntityName = Brand<string, "EntityName">;

// Schemes of identifiers that have forms of their own, and the prefix of roles that agents have by what they are.
const reservedTypes = ["http", "https", "urn", "spiffe", "kind"];
const entityType = /^[a-z][a-z0-9_-]{0,31}$/;
// Printable ASCII without a blank: whatever else a path may hold has a second reader who sees another letter.
const plain = /^[\x21-\x7e]+$/;

/** Whether a text can be the type of entities. */
export function isEntityType(text: string): boolean {
  return entityType.test(text) && !reservedTypes.includes(text);
}

/**
 * The name of an entity, or undefined: its id is a path in its only spelling, absolute or relative, as `parsePath` has it.
 * Nothing is mended, so no two entities can be taken for one another.
 */
export function entityNameOf(type: string, id: string): EntityName | undefined {
  const isLegal = isEntityType(type) && plain.test(id) && !id.includes("://") && parsePath(id) !== undefined;
  return isLegal ? (`${type}:${id}` as EntityName) : undefined;
}

/** The entity that `text` names, or undefined. */
export function parseEntityName(text: string): EntityName | undefined {
  const [type = "", ...id] = text.split(":");
  return entityNameOf(type, id.join(":"));
}
