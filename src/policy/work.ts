import { setImmediate as nextTurn } from "node:timers/promises";

/** Work on many lines, in pieces: wherever it yields, something else may run. */
export type Work<Result> = Generator<void, Result, void>;

const sliceMs = 4;
/** Lines that are read in about a fifth of a millisecond. */
export const linesAPiece = 128;

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

/** Does something with each number below a count, a piece of them at a time. */
export function* eachBelow(count: number, perform: (place: number) => void): Work<void> {
  for (let place = 0; place < count; ) {
    for (const end = Math.min(place + linesAPiece, count); place < end; place++) perform(place);
    yield;
  }
}
