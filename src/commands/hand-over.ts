import type { PrivateJwk } from "@countersign/sdk/client/key-pair";
import { writeKeyFile } from "./key-file.ts";

/** How a new private key is handed to whoever asked for it: in a file, or in the answer, once. */
export async function handOver(
  ids: { readonly id: string; readonly clientId: string },
  privateJwk: PrivateJwk | undefined,
  file: string | undefined,
): Promise<{ readonly json: object; readonly rows: [string, string][] }> {
  if (privateJwk === undefined) return { json: {}, rows: [] };
  if (file === undefined) {
    return { json: { privateJwk }, rows: [["private key, shown only now", JSON.stringify(privateJwk)]] };
  }
  await writeKeyFile(file, { ...ids, privateJwk });
  return { json: { keyFile: file }, rows: [["private key", `in ${file}`]] };
}
