/** Many texts, each with a number: what repeats is kept once, and rows of them are rows of numbers. */
export interface Texts {
  /** By number. */
  readonly all: string[];
  readonly numbers: Map<string, number>;
}

/** A table without a text. */
export function createTexts(): Texts {
  return { all: [], numbers: new Map() };
}

/** The number of a text, which it is given where it has none. */
export function numberFor(texts: Texts, text: string): number {
  const known = texts.numbers.get(text);
  if (known !== undefined) return known;
  const kept = apart(text);
  texts.numbers.set(kept, texts.all.length);
  return addText(texts, kept);
}

/** Adds a text that nobody will ask the number of, as a rule's id. */
export function addText({ all }: Texts, text: string): number {
  return all.push(apart(text)) - 1;
}

// V8 keeps what was cut out of a text as a view that holds on to all of it; below 13 characters it makes a copy.
function apart(text: string): string {
  return text.length < 13 ? text : Buffer.from(text, "utf8").toString("utf8");
}
