import { setImmediate as nextTurn } from "node:timers/promises";

/** Work on many lines, in pieces: wherever it yields, something else may run. */
export type Work<Result> = Generator<void, Result, void>;

const sliceMs = 4;
const linesAPiece = 128;

/** Does work in one go: nothing else runs until it is done. */
export function doAtOnce<Result>(work: Work<Result>): Result {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

/** Does work in slices of a few milliseconds, and lets the event loop turn between them: a server goes on answering. */
export async function doInSlices<Result>(work: Work<Result>): Promise<Result> {
  let sliceEnd = performance.now() + sliceMs;
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
    if (performance.now() < sliceEnd) continue;
    await nextTurn();
    sliceEnd = performance.now() + sliceMs;
  }
}

/** Does something with each of many, a piece of them at a time. */
export function* eachOf<Item>(
  items: readonly Item[],
  perform: (item: Item, place: number) => void,
): Work<void> {
  for (const [place, item] of items.entries()) {
    perform(item, place);
    if (place % linesAPiece === linesAPiece - 1) yield;
  }
}
