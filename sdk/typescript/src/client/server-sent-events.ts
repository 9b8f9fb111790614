/** One event of a stream. */
export interface ServerSentEvent {
  /** `message` where none is named. */
  readonly name: string;
  readonly data: string;
  /** The last id that was given, by this event or one before it. */
  readonly lastEventId: string | undefined;
}

/** What comes as one line, at most: an endless one must not fill the memory. */
const lineCharsMax = 1_000_000;

/**
 * The events of a stream as they come; comments are left out.
 *
 * @param onChunk told of whatever comes, a comment too
 * @throws RangeError for a line without end
 * @see WHATWG HTML, section 9.2.6
 */
export async function* readServerSentEvents(
  body: ReadableStream<Uint8Array>,
  onChunk: () => void = () => undefined,
): AsyncGenerator<ServerSentEvent, void> {
  let rest = "";
  let name = "";
  let data: string[] = [];
  let lastEventId: string | undefined;
  const text = new TextDecoder();
  for await (const chunk of body) {
    onChunk();
    // A carriage return at the end may be the first half of a line's end.
    const lines = (rest + text.decode(chunk, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    if (rest.length > lineCharsMax) throw new RangeError("an event of the stream has no end");
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0)
          yield { name: name === "" ? "message" : name, data: data.join("\n"), lastEventId };
        name = "";
        data = [];
        continue;
      }
      const [field, value] = fieldOf(line);
      if (field === "event") name = value;
      else if (field === "data") data.push(value);
      else if (field === "id" && !value.includes("\0")) lastEventId = value;
    }
  }
}

function fieldOf(line: string): [string, string] {
  const colon = line.indexOf(":");
  if (colon < 0) return [line, ""];
  const value = line.slice(colon + 1);
  return [line.slice(0, colon), value.startsWith(" ") ? value.slice(1) : value];
}
