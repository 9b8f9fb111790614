import { calculateJwkThumbprint, exportJWK, generateKeyPair } from "jose";
import { z } from "zod";
import { type PublicJwk, publicJwkSchema } from "../contract/fields.ts";

/** A private ES256 key as RFC 7517 writes it. */
export const privateJwkSchema = publicJwkSchema.extend({ d: z.string().regex(/^[A-Za-z0-9_-]{43}$/) });
export type PrivateJwk = z.infer<typeof privateJwkSchema>;

/** Makes an ES256 key pair on this machine; its `kid` is the RFC 7638 thumbprint. */
export async function makeKeyPair(): Promise<{ publicJwk: PublicJwk; privateJwk: PrivateJwk }> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const bare = privateJwkSchema.parse(strip(await exportJWK(privateKey)));
  const privateJwk: PrivateJwk = {
    ...bare,
    kid: await calculateJwkThumbprint(bare),
    alg: "ES256",
    use: "sig",
  };
  return { publicJwk: publicJwkOf(privateJwk), privateJwk };
}

/** The public half of a key. */
export function publicJwkOf({ d: _, ...publicJwk }: PrivateJwk): PublicJwk {
  return publicJwk;
}

/** The members that name the key itself: WebCrypto adds `ext` and `key_ops`, which nobody needs. */
function strip({ kty, crv, x, y, d }: { kty?: string; crv?: string; x?: string; y?: string; d?: string }) {
  return { kty, crv, x, y, d };
}
