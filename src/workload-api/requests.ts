import { jwtSvidAudienceSchema, jwtSvidAudiencesSchema } from "@countersign/sdk/contract/node-face";
import { parseSpiffeId } from "@countersign/sdk/model/spiffe-id";
import { z } from "zod";
import { DomainError } from "../domain/domain-error.ts";

const resourceNamesMax = 256;

const jwtSvidRequestSchema = z.object({
  audience: jwtSvidAudiencesSchema,
  spiffeId: z.string().transform((text, context) => {
    if (text === "") return undefined;
    const id = parseSpiffeId(text);
    if (id !== undefined) return id;
    context.addIssue({ code: "custom", message: "must be a SPIFFE ID" });
    return z.NEVER;
  }),
});

const validateJwtSvidRequestSchema = z.object({
  audience: jwtSvidAudienceSchema,
  svid: z.string().min(1, "must not be empty"),
});

/** On the wire of a secret, and of what asks for one. */
export const secretTypeUrl = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

const discoveryRequestSchema = z.object({
  resourceNames: z
    .array(z.string().max(2_048, "is too long"))
    .max(resourceNamesMax, `must name at most ${resourceNamesMax}`),
  typeUrl: z.enum(["", secretTypeUrl], "must be that of a secret"),
});

/** @throws DomainError `invalid_request`, which names the field */
export const parseJwtSvidRequest = parses(jwtSvidRequestSchema);
/** @throws DomainError `invalid_request`, which names the field */
export const parseValidateJwtSvidRequest = parses(validateJwtSvidRequestSchema);
/** @throws DomainError `invalid_request`, which names the field */
export const parseDiscoveryRequest = parses(discoveryRequestSchema);

function parses<Schema extends z.ZodType>(schema: Schema): (request: unknown) => z.infer<Schema> {
  return (request) => {
    const parsed = schema.safeParse(request);
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    const field = String(issue?.path[0] ?? "the request").replace(
      /[A-Z]/g,
      (letter) => `_${letter.toLowerCase()}`,
    );
    throw new DomainError("invalid_request", `${field} ${issue?.message ?? "can't be read"}`, parsed.error);
  };
}
