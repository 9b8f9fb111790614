import { setTimeout as delay } from "node:timers/promises";

const patienceMs = 30_000;

/** Undefined once it is so, and a reason when that never comes. */
export async function until(isSo) {
  const deadline = Date.now() + patienceMs;
  while (!(await isSo())) {
    if (Date.now() > deadline) return `it did not within ${patienceMs} ms`;
    await delay(50);
  }
  return undefined;
}
