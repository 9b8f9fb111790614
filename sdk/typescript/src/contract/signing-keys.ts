import { z } from "zod";
import { aLog, aTime, listQuery, pageOf } from "./fields.ts";
import { operation } from "./operation.ts";

const aPurpose = z.enum(["token", "log", "jwt_authority", "x509_authority"]);

export const signingKeySchema = z.strictObject({
  id: z.string().max(128),
  purpose: aPurpose,
  log: aLog.optional(),
  algorithm: z.enum(["ES256", "EdDSA"]),
  status: z.enum(["next", "active", "retired", "tainted", "withdrawn"]),
  public_jwk: z.record(z.string(), z.string()),
  /** The log key as C2SP signed-note verifiers take it: `<origin>+<hash>+<key>`. */
  vkey: z.string().max(1024).optional(),
  created_at: aTime,
  activated_at: aTime.optional(),
  retired_at: aTime.optional(),
  not_after: aTime.optional().describe("Of an X.509 authority: when its certificate ends."),
  signs_until: aTime.optional().describe("Of one that signs: when another takes its place by itself."),
  published_until: aTime
    .optional()
    .describe("Of what is published, but for logs: until when, where that is known already."),
});
export const signingKeyListSchema = z.strictObject({ items: z.array(signingKeySchema).max(1000) });
/** Which keys to rotate; without `purpose` every one. */
export const rotateKeysRequestSchema = z.strictObject({
  purpose: aPurpose.optional(),
});

export const listSigningKeys = operation({
  name: "listSigningKeys",
  method: "get",
  path: "/v1/keys",
  summary: "Lists the signing keys and their states, oldest first, their public halves only.",
  anyOf: ["admin", "audit"],
  query: listQuery("^[A-Za-z0-9_-]{43}$"),
  answer: pageOf(signingKeySchema),
});
export const rotateSigningKeys = operation({
  name: "rotateSigningKeys",
  method: "post",
  path: "/v1/keys/rotate",
  summary: "Signs with the next keys from now on; the old ones stay good for what they signed.",
  anyOf: ["admin"],
  body: rotateKeysRequestSchema,
  answer: signingKeyListSchema,
});
const keyParams = z.strictObject({ id: z.string().regex(/^[A-Za-z0-9_-]{43}$/, "must be the id of a key") });

export const taintAuthority = operation({
  name: "taintAuthority",
  method: "post",
  path: "/v1/keys/{id}/taint",
  summary:
    "Marks an authority of the trust domain as compromised: its successor signs at once, and what it signed is renewed.",
  anyOf: ["admin"],
  params: keyParams,
  answer: signingKeyListSchema,
});
export const withdrawAuthority = operation({
  name: "withdrawAuthority",
  method: "post",
  path: "/v1/keys/{id}/withdraw",
  summary: "Takes a tainted authority out of the trust bundle: nothing that it signed verifies any more.",
  anyOf: ["admin"],
  params: keyParams,
  answer: signingKeyListSchema,
});
