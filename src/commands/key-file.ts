import { existsSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import {
  makeKeyPair,
  type PrivateJwk,
  privateJwkSchema,
  publicJwkOf,
} from "@countersign/sdk/client/key-pair";
import { type PublicJwk, publicJwkSchema } from "@countersign/sdk/contract/fields";
import { z } from "zod";
import { type Cli, CommandError, UsageError } from "./cli.ts";
import { readJson } from "./read-json.ts";

/** A principal's key as this CLI writes it: the JSON that the command which made it answers with can be used too. */
const keyFileSchema = z.union([
  z.looseObject({ clientId: z.string().max(2048).optional(), privateJwk: privateJwkSchema }),
  privateJwkSchema.transform((privateJwk) => ({ clientId: undefined, privateJwk })),
]);

export interface PrincipalKey {
  /** Absent when the file holds a bare JWK. */
  readonly clientId: string | undefined;
  readonly privateJwk: PrivateJwk;
}

/** Reads a private key. @throws UsageError naming the file when it can't be read or holds no such key */
export async function readKeyFile(path: string): Promise<PrincipalKey> {
  const parsed = keyFileSchema.safeParse(await readJson(path));
  if (!parsed.success) throw new UsageError(`${path} holds no private ES256 key as JWK`);
  return { clientId: parsed.data.clientId, privateJwk: parsed.data.privateJwk };
}

/**
 * As `readKeyFile`, for a key that is about to be used: says so when others can get at it, for it may be theirs by now.
 *
 * @throws UsageError
 */
export async function readKeyToUse({ note }: Pick<Cli, "note">, path: string): Promise<PrincipalKey> {
  const key = await readKeyFile(path);
  if (await isOpenToOthers(path)) {
    note(`warning: ${path} is open to other users; take it from them with chmod go= ${path}`);
  }
  return key;
}

/** Whether others than the file's owner can get at it. */
export async function isOpenToOthers(path: string): Promise<boolean> {
  return ((await stat(path)).mode & 0o077) !== 0;
}

/**
 * The public half of the key that a new principal is to have: of the JWK in a file, public or private, or of a pair made
 * here, whose private half never leaves this machine.
 */
export async function keyForNewPrincipal(
  cli: Pick<Cli, "note">,
  file: string | undefined,
): Promise<{ readonly publicJwk: PublicJwk; readonly privateJwk?: PrivateJwk }> {
  if (file === undefined) return makeKeyPair();
  const json = await readJson(file);
  const asPublic = publicJwkSchema.safeParse(json);
  if (asPublic.success) return { publicJwk: asPublic.data };
  return { publicJwk: publicJwkOf((await readKeyToUse(cli, file)).privateJwk) };
}

/**
 * Refuses a file that can't be made because it is there or its directory is not: told before anything is made that the
 * file is for.
 *
 * @throws UsageError
 */
export function expectNewFile(path: string): void {
  if (existsSync(path)) throw new UsageError(`${path} exists: choose a file that does not exist yet`);
  if (!existsSync(dirname(path)))
    throw new UsageError(`${path}: the directory ${dirname(path)} does not exist`);
}

/**
 * Writes a new principal's key to a new file that only its owner can read.
 *
 * @throws CommandError when the file exists: a key is never overwritten
 */
export async function writeKeyFile(path: string, content: object): Promise<void> {
  try {
    const file = await open(path, "wx", 0o600);
    await file.writeFile(`${JSON.stringify(content, null, 2)}\n`);
    await file.close();
  } catch (error) {
    throw new CommandError(
      "key_not_written",
      `${path} can't be made: choose a file that does not exist yet`,
      error,
    );
  }
}
