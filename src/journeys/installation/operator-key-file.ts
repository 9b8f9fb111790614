import { createPublicKey, generateKeyPair } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { createSecretFile, readSecretFile } from "../../store/secret-file.ts";

const operatorKeySchema = z.object({
  clientId: z.string().max(2048),
  privateJwk: z.object({
    kty: z.literal("EC"),
    crv: z.literal("P-256"),
    x: z.string().max(64),
    y: z.string().max(64),
    d: z.string().max(64),
  }),
});

/** An operator's own key, as its file holds it. */
export type OperatorKey = z.infer<typeof operatorKeySchema>;

/** Where the key of the operator that the first start makes lies. */
export function operatorKeyPath(dataDir: string): string {
  return join(dataDir, "operator", "local.json");
}

/**
 * The local operator's key, made now if there is none: in a directory of its own that only this account enters. It
 * appears whole or not at all, and of several processes that make it at once all get the same.
 *
 * @throws Error in one line when what is there is no operator key, or may have been put there or read by another user
 */
export async function readOrCreateOperatorKey(dataDir: string, clientId: string): Promise<OperatorKey> {
  const path = operatorKeyPath(dataDir);
  const text = (await readSecretFile(path)) ?? (await createSecretFile(path, await newKey(clientId)));
  try {
    return operatorKeySchema.parse(JSON.parse(text));
  } catch (error) {
    throw new Error(`${path} is not an operator key`, { cause: error });
  }
}

/** The public half. */
export function publicHalfOf({ privateJwk }: OperatorKey): Readonly<Record<string, unknown>> {
  return { ...createPublicKey({ key: privateJwk, format: "jwk" }).export({ format: "jwk" }) };
}

async function newKey(clientId: string): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
  return `${JSON.stringify({ clientId, privateJwk: privateKey.export({ format: "jwk" }) }, null, 2)}\n`;
}
