const lineCharsMax = 64 * 1024 * 1024;

/**
 * Divides a stream of UTF-8 octets into lines without their newlines, holding one line at a time.
 *
 * @throws TypeError when the octets are not UTF-8; RangeError for a line longer than any record can be
 */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > lineCharsMax) throw new RangeError("a line of the export is too long");
    yield* lines;
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}
