import { hash } from "node:crypto";
import { canonicalJson, type JsonValue } from "@countersign/sdk/model/canonical-json";
import { DomainError } from "../../domain/domain-error.ts";

/**
 * The token of a search's next page: where it goes on, bound to the search and its asker. It is no secret and gives no
 * leave: whoever makes one up asks what they may ask anyway.
 */
export function searchTokenOf(search: JsonValue, position: string): string {
  return Buffer.from(`${digestOf(search)} ${position}`).toString("base64url");
}

/** Where a search goes on. @throws DomainError `invalid_request` for the token of another search, or for none at all */
export function readSearchToken(search: JsonValue, token: string): string {
  const [, position = ""] = Buffer.from(token, "base64url").toString("utf8").split(" ");
  // Made again, so that a token has one spelling.
  if (position !== "" && searchTokenOf(search, position) === token) return position;
  throw new DomainError(
    "invalid_request",
    "page.token: must be the next_token of a page of this very search",
  );
}

function digestOf(search: JsonValue): string {
  return hash("sha256", canonicalJson(search), "base64url");
}
