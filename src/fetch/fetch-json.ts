import { type FetchPlace, fetchBounded } from "./fetch-bounded.ts";
import { FetchError } from "./fetch-error.ts";
import { textOf } from "./read-bounded.ts";

const bytesMax = 256 * 1024;
const timeoutMs = 5_000;

/**
 * The JSON that a URL answers with: what `fetchBounded` fetches, of at most 256 KiB and within 5 s.
 *
 * @throws FetchError
 */
export async function fetchJson(place: FetchPlace): Promise<unknown> {
  const text = textOf(await fetchBounded({ ...place, bytesMax, timeoutMs }));
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FetchError("the answer is not JSON", { cause: error });
  }
}
