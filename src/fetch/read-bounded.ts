import { FetchError } from "./fetch-error.ts";

/** The octets of a body, which are held up to a bound. @throws FetchError for one that is longer */
export async function readBounded(body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += part.length;
    if (bytes > bytesMax) throw new FetchError(`the answer is longer than ${bytesMax} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** The text that these octets are. @throws FetchError where they are not UTF-8 */
export function textOf(octets: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(octets);
  } catch (error) {
    throw new FetchError("the answer is not UTF-8", { cause: error });
  }
}
