import { errors, type KoaContextWithOIDC } from "oidc-provider";

/** The value of a required parameter. @throws errors.InvalidRequest when it was not sent */
export function presentParameter(ctx: KoaContextWithOIDC, name: string): string {
  const value = ctx.oidc.params?.[name];
  if (typeof value !== "string") throw new errors.InvalidRequest(`missing required parameter '${name}'`);
  return value;
}
