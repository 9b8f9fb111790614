import { parseAudience, sameAudience } from "@countersign/sdk/model/audience";
import { errors, type KoaContextWithOIDC } from "oidc-provider";

/** Stands for "no resource was asked for" where the library insists on one; the journey then chooses. */
export const unnamedResource = "urn:countersign:resource:unnamed";

/** The value of a required parameter. @throws errors.InvalidRequest when it was not sent */
export function presentParameter(ctx: KoaContextWithOIDC, name: string): string {
  const value = ctx.oidc.params?.[name];
  if (typeof value !== "string") throw new errors.InvalidRequest(`missing required parameter '${name}'`);
  return value;
}

/**
 * The URI that names a target, in its one spelling.
 *
 * @throws errors.InvalidTarget for what can't name a Resource
 * @see RFC 8707, section 2
 */
export function presentTarget(uri: string): string {
  const audience = parseAudience(uri);
  if (audience === undefined) throw new errors.InvalidTarget("the target is not a URI that names a resource");
  return audience;
}

/**
 * A token has one audience: naming the same one twice is harmless, naming two is refused.
 *
 * @throws errors.InvalidTarget
 */
export function onlyTarget(named: readonly string[]): string | undefined {
  // The library names one itself beside authorization_details.
  const [first, ...others] = named.filter((one) => one !== unnamedResource);
  if (first !== undefined && others.some((other) => !sameAudience(first, other))) {
    throw new errors.InvalidTarget("only one resource can be asked for at a time");
  }
  return first === undefined ? undefined : presentTarget(first);
}
