import { createPublicKey, generateKeyPair } from "node:crypto";
import { chmod, link, mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";

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
 * @throws Error in one line when the file is there but is no operator key
 */
export async function readOrCreateOperatorKey(dataDir: string, clientId: string): Promise<OperatorKey> {
  const path = operatorKeyPath(dataDir);
  const found = await readOperatorKey(path);
  if (found !== undefined) return found;
  const directory = join(dataDir, "operator");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  const { privateKey } = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
  const key = { clientId, privateJwk: privateKey.export({ format: "jwk" }) };
  const draft = `${path}.${process.pid}`;
  await rm(draft, { force: true });
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(key, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  // link, unlike rename, never replaces a key that another process made meanwhile.
  await link(draft, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  await rm(draft);
  const made = await readOperatorKey(path);
  if (made === undefined) throw new Error(`${path} vanished while it was made`);
  return made;
}

/** The public half. */
export function publicHalfOf({ privateJwk }: OperatorKey): Readonly<Record<string, unknown>> {
  return { ...createPublicKey({ key: privateJwk, format: "jwk" }).export({ format: "jwk" }) };
}

async function readOperatorKey(path: string): Promise<OperatorKey | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return operatorKeySchema.parse(JSON.parse(text));
  } catch (error) {
    throw new Error(`${path} is not an operator key`, { cause: error });
  }
}
