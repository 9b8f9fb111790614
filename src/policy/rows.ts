import { firstPlace, indexPlaces, mix, nextPlace } from "./places.ts";
import { numberFor, type Texts } from "./texts.ts";
import { eachBelow, type Work } from "./work.ts";

/** Rows of numbers, all of one width. */
export interface Rows {
  readonly width: number;
  /** How many rows there are. */
  count: number;
  /** The numbers, row by row; some room may be left behind the last one. */
  cells: Uint32Array;
}

const rowsAtFirst = 64;

/** No rows yet. */
export function createRows(width: number): Rows {
  return { width, count: 0, cells: new Uint32Array(rowsAtFirst * width) };
}

/** Adds a row. */
export function addRow(rows: Rows, numbers: readonly number[]): void {
  const start = rows.count * rows.width;
  if (start === rows.cells.length) {
    const more = new Uint32Array(rows.cells.length * 2);
    more.set(rows.cells);
    rows.cells = more;
  }
  for (let at = 0; at < rows.width; at++) rows.cells[start + at] = numbers[at] ?? 0;
  rows.count++;
}

/** Adds a row of texts. @throws TypeError where they are more or fewer than the rows are wide */
export function addWords(rows: Rows, words: readonly string[], texts: Texts): void {
  if (words.length !== rows.width) throw new TypeError(`a row has ${words.length} texts, not ${rows.width}`);
  addRow(
    rows,
    words.map((word) => numberFor(texts, word)),
  );
}

/** The number in a row. */
export function cellOf({ cells, width }: Rows, row: number, at: number): number {
  return cells[row * width + at] ?? 0;
}

/** The texts whose numbers a row is. */
export function wordsOf({ cells, width }: Rows, row: number, texts: Texts): string[] {
  const words: string[] = [];
  for (let at = row * width; at < (row + 1) * width; at++) words.push(texts.all[cells[at] ?? 0] ?? "");
  return words;
}

/** The rows that have the same numbers as another from one column up to another, and now and then one that has not. */
export function* likelyAlike(rows: Rows, from: number, to: number): Work<readonly number[]> {
  const hashes = new Int32Array(rows.count);
  yield* eachBelow(rows.count, (row) => {
    for (let at = from; at < to; at++) hashes[row] = mix(hashes[row] ?? 0, cellOf(rows, row, at));
  });
  const places = indexPlaces(hashes);
  const alike: number[] = [];
  yield* eachBelow(rows.count, (row) => {
    if (firstPlace(places, hashes[row] ?? 0) !== row || nextPlace(places, row) >= 0) alike.push(row);
  });
  return alike;
}
