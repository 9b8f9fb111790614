const newline = 0x0a;
const lineBytesMax = 64 * 1024 * 1024;
/** No JSON begins with it. */
const notALine = "\ufffd";

/**
 * Divides a stream of UTF-8 octets into lines without their newlines, holding one line at a time. Octets that are not
 * UTF-8, or that no newline ends within 64 MiB, come out as a line that is no record, so that the verdict names it.
 */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let begun: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      yield decode([...begun, chunk.subarray(start, end)]);
      begun = [];
      bytes = 0;
      start = end + 1;
    }
    if (start === chunk.length) continue;
    begun.push(chunk.subarray(start));
    bytes += chunk.length - start;
    if (bytes > lineBytesMax) return yield notALine;
  }
  if (begun.length > 0) yield decode(begun);
}

function decode(parts: readonly Uint8Array[]): string {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    return parts.map((part) => decoder.decode(part, { stream: true })).join("") + decoder.decode();
  } catch {
    return notALine;
  }
}
