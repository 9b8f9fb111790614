import { z } from "zod";
import { anId, aSpiffeId, withLedger } from "./fields.ts";
import { operation } from "./operation.ts";

const aRedirectUri = z.string().max(512).refine(isRedirectUri, {
  message: "must be https, or http on loopback, in its canonical spelling and without a fragment",
});

const agentOrResource = z.union([anId("agent"), anId("resource")]);

const members = {
  redirect_uris: z
    .array(aRedirectUri)
    .max(16)
    .describe("Where authorization responses may go, compared octet by octet."),
  token_endpoint_auth_method: z.enum([
    "private_key_jwt",
    "self_signed_tls_client_auth",
    "client_secret_basic",
  ]),
  dpop_nonce_required: z
    .boolean()
    .describe("Whether each DPoP proof of the client must bear a nonce of the server's."),
  compat: z.boolean().describe("Whether the client may do what only older ones need."),
};

/** All that an operator sets for a client at once: what is left out is as for any other client. */
export const setClientRequestSchema = z
  .strictObject({
    redirect_uris: members.redirect_uris.default([]),
    token_endpoint_auth_method: members.token_endpoint_auth_method.default("private_key_jwt"),
    dpop_nonce_required: members.dpop_nonce_required.default(false),
    compat: members.compat.default(false),
  })
  .refine(({ compat, token_endpoint_auth_method: method }) => compat || method !== "client_secret_basic", {
    path: ["token_endpoint_auth_method"],
    message: "client_secret_basic is for clients with compat only",
  });

/** An Agent or a Resource as the issuer meets it. */
export const clientSchema = z.strictObject({
  /** The Agent's or the Resource's. */
  id: agentOrResource,
  client_id: aSpiffeId,
  ...members,
});
export const clientChangedSchema = clientSchema.extend({
  client_secret: z.string().max(128).optional().describe("Shown here, and never again."),
  ...withLedger,
});
export type ClientWire = z.infer<typeof clientSchema>;

export const setClient = operation({
  name: "setClient",
  method: "put",
  path: "/v1/clients/{id}",
  summary: "Sets how an agent or a resource authenticates and asks, all of it at once.",
  anyOf: ["admin"],
  params: z.strictObject({ id: agentOrResource }),
  body: setClientRequestSchema,
  answersSecret: true,
  answer: clientChangedSchema,
});
export const getClient = operation({
  name: "getClient",
  method: "get",
  path: "/v1/clients/{id}",
  summary: "Shows how an agent or a resource authenticates and asks.",
  anyOf: ["admin"],
  params: z.strictObject({ id: agentOrResource }),
  answer: clientSchema,
});

/** @see RFC 9700, section 2.1 */
function isRedirectUri(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, href, hash, username, password } = new URL(text);
  if (href !== text || hash !== "" || text.includes("#") || username !== "" || password !== "") return false;
  return protocol === "https:" || (protocol === "http:" && ["127.0.0.1", "[::1]"].includes(hostname));
}
