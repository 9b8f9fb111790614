/** Whether a number counts something: a whole number from 0 up, exact in every JSON reader. NaN compares with nothing. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
