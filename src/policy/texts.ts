import { randomInt } from "node:crypto";

/** Many texts, each with a number: what repeats is kept once, and lines of them are rows of numbers. */
export interface Texts {
  /** By number. */
  readonly all: string[];
  /** In pairs, by hash: the hash and the number of a text, and one; 0 where there is none. A power of two of them. */
  slots: Int32Array;
  /** Where hashes begin: nobody can write a policy whose texts all have one. */
  readonly seed: number;
}

const slotsAtFirst = 1024;

/** A table without a text. */
export function createTexts(): Texts {
  return { all: [], slots: new Int32Array(2 * slotsAtFirst), seed: randomInt(2 ** 32) | 0 };
}

/** The number of a text; undefined where it is not there. */
export function findNumber(texts: Texts, text: string): number | undefined {
  const hash = hashOf(texts, text, 0, text.length);
  const number = (texts.slots[slotOf(texts, hash, text, 0, text.length) + 1] ?? 0) - 1;
  return number < 0 ? undefined : number;
}

/** The number of a text, which it is given where it has none. */
export function numberFor(texts: Texts, text: string): number {
  return numberOfPart(texts, text, 0, text.length);
}

/** The number of a part of a text, which is cut out only where it is new. */
export function numberOfPart(texts: Texts, text: string, start: number, end: number): number {
  const hash = hashOf(texts, text, start, end);
  const slot = slotOf(texts, hash, text, start, end);
  const known = texts.slots[slot + 1] ?? 0;
  if (known > 0) return known - 1;
  const count = texts.all.push(apart(text.slice(start, end)));
  texts.slots[slot] = hash;
  texts.slots[slot + 1] = count;
  // Where more than half are taken, what is looked for is no more found beside where it should be.
  if (count * 4 > texts.slots.length) texts.slots = twiceAsMany(texts.slots);
  return count - 1;
}

function hashOf({ seed }: Texts, text: string, start: number, end: number): number {
  let hash = seed;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

/** Where the hash and the number of a part of a text stand, or would stand. */
function slotOf({ all, slots }: Texts, hash: number, text: string, start: number, end: number): number {
  const mask = slots.length - 1;
  for (let slot = (2 * hash) & mask; ; slot = (slot + 2) & mask) {
    const count = slots[slot + 1] ?? 0;
    if (count === 0) return slot;
    if (slots[slot] === hash && isPart(all[count - 1] ?? "", text, start, end)) return slot;
  }
}

function isPart(whole: string, text: string, start: number, end: number): boolean {
  if (whole.length !== end - start) return false;
  if (whole.length === text.length) return whole === text;
  // From the end: what looks alike mostly differs there.
  let at = whole.length - 1;
  while (at >= 0 && whole.charCodeAt(at) === text.charCodeAt(start + at)) at--;
  return at < 0;
}

function twiceAsMany(slots: Int32Array): Int32Array {
  const more = new Int32Array(slots.length * 2);
  const mask = more.length - 1;
  for (let from = 0; from < slots.length; from += 2) {
    const [hash = 0, count = 0] = [slots[from], slots[from + 1]];
    if (count === 0) continue;
    let slot = (2 * hash) & mask;
    while (more[slot + 1] !== 0) slot = (slot + 2) & mask;
    more[slot] = hash;
    more[slot + 1] = count;
  }
  return more;
}

// V8 keeps what was cut out of a text as a view that holds on to all of it; below 13 characters it makes a copy.
function apart(text: string): string {
  return text.length < 13 ? text : Buffer.from(text, "utf8").toString("utf8");
}
