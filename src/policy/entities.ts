import { parseAudience } from "@countersign/sdk/model/audience";
import { isPlainObject } from "@countersign/sdk/model/bounded-json";
import { parseEntityName } from "@countersign/sdk/model/entity";
import { parseOrganizationId } from "@countersign/sdk/model/ids";
import { type Attributes, type AttributeValue, isAttributeValue } from "../domain/attributes.ts";
import type { DecisionRequest } from "../domain/decision.ts";
import { isMatchable } from "./check-row.ts";

/** Something that the policy knows: a subject or a resource, and what is so of it in an organization, or in all (`*`). */
export interface Entity {
  readonly name: string;
  readonly domain: string;
  /** By plain name: `status`. */
  readonly attributes: Attributes;
}

/** Entities by organization (or `*`), then by name. */
export type EntityIndex = ReadonlyMap<string, ReadonlyMap<string, Entity>>;

const attributesMax = 64;
const attributeName = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;

/** The entity that the fields of an e line tell of; undefined where problemsOfEntity() finds something wrong. */
export function parseEntity([name = "", domain = "", text = ""]: readonly string[]): Entity | undefined {
  const attributes = parseAttributes(text);
  return attributes && { name, domain, attributes };
}

/** What is wrong with the fields of an e line, each in words. */
export function problemsOfEntity(fields: readonly string[]): string[] {
  const [name = "", domain = "", text = ""] = fields;
  const checks: readonly (readonly [isGood: boolean, problem: string])[] = [
    [isEntity(name), "an entity must be type:path, a resource's audience, or a subject's id"],
    [
      domain === "*" || parseOrganizationId(domain) !== undefined,
      "the domain must be an organization's id or *",
    ],
    [
      parseAttributes(text) !== undefined,
      "attributes must be a JSON object of text, numbers, true, false, or lists of text",
    ],
  ];
  return checks.filter(([isGood]) => !isGood).map(([, problem]) => problem);
}

/** Indexes entities, of which no two have one name in one domain. */
export function indexEntities(entities: readonly Entity[]): EntityIndex {
  const index = new Map<string, Map<string, Entity>>();
  for (const entity of entities) {
    const byName = index.get(entity.domain) ?? new Map<string, Entity>();
    index.set(entity.domain, byName);
    byName.set(entity.name, entity);
  }
  return index;
}

/**
 * All that is known of a request: what it says itself, and what the policy says of its subject and its resource, which
 * outweighs it. Whoever asks can add to what the policy knows, and change none of it.
 */
export function attributesOf(index: EntityIndex, request: DecisionRequest): Attributes {
  const told = request.attributes ?? none;
  if (index.size === 0) return told;
  const { organization, subject, resource } = request;
  const known = [
    ...aboutOf(index, organization, subject, "subject"),
    ...aboutOf(index, organization, resource, "resource"),
  ];
  return known.length === 0 ? told : { ...told, ...Object.fromEntries(known) };
}

const none: Attributes = {};

function aboutOf(
  index: EntityIndex,
  organization: string,
  name: string,
  prefix: "subject" | "resource",
): (readonly [string, AttributeValue])[] {
  const everywhere = index.get("*")?.get(name)?.attributes ?? none;
  const here = index.get(organization)?.get(name)?.attributes ?? none;
  return Object.entries({ ...everywhere, ...here }).map(([key, value]) => [`${prefix}.${key}`, value]);
}

function isEntity(name: string): boolean {
  if (!isMatchable(name)) return false;
  return name.includes(":") ? parseEntityName(name) !== undefined || parseAudience(name) !== undefined : true;
}

function parseAttributes(text: string): Attributes | undefined {
  const value = parseJson(text);
  if (!isPlainObject(value)) return undefined;
  const entries = Object.entries(value);
  const isLegal =
    entries.length <= attributesMax &&
    entries.every(([name, one]) => attributeName.test(name) && isAttributeValue(one));
  // Each of its members was looked at.
  return isLegal ? (value as Attributes) : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
