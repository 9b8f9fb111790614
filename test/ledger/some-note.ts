import { formatCheckpoint } from "@countersign/sdk/tlog/checkpoint";
import { formatNote } from "@countersign/sdk/tlog/note";
import { newNoteKey } from "../tlog/note-key.ts";

const key = newNoteKey("127.0.0.1:8460/log/acme");

/** A signed checkpoint of this size; its root is made up. */
export function noteOf(size: number, fill = 1): string {
  const root = new Uint8Array(32).fill(fill);
  const text = formatCheckpoint({ origin: key.name, size, root, extensions: [] });
  return formatNote({ text, signatures: [key.signature(text)] });
}
