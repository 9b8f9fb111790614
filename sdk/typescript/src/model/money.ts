/** A sum of money: decimal text in major units, and the code of its currency. */
export interface Money {
  readonly amount: string;
  readonly unit: string;
}

/**
 * A sum in the smallest units of its currency, as a whole number that is exact in every JSON reader; undefined for what is
 * no sum, or is finer than the currency or beyond such a number. Whether there is such a currency is not asked.
 *
 * @see ISO 4217
 */
export function minorUnitsOf({ amount, unit }: Money): number | undefined {
  const [, whole, fraction = ""] = /^(0|[1-9]\d{0,14})(?:\.(\d{1,4}))?$/.exec(amount) ?? [];
  if (whole === undefined || !/^[A-Z]{3}$/.test(unit)) return undefined;
  const digits = digitsOf.get(unit) ?? usualDigits;
  const units = Number(`${whole}${fraction.padEnd(digits, "0")}`);
  return fraction.length <= digits && Number.isSafeInteger(units) ? units : undefined;
}

/**
 * The smallest units of its currency that a sum takes, which may be finer than these: rounded up, and where it is beyond what
 * is exact in every JSON reader, the most that is.
 */
export function minorUnitsFor({ amount, unit }: Money): number {
  const [whole = "", fraction = ""] = amount.split(".");
  const digits = digitsOf.get(unit) ?? usualDigits;
  const units = Number(`${whole}${fraction.slice(0, digits).padEnd(digits, "0")}`);
  const rest = /[1-9]/.test(fraction.slice(digits)) ? 1 : 0;
  return Math.min(units + rest, Number.MAX_SAFE_INTEGER);
}

const usualDigits = 2;
/** Of the currencies that have more or fewer digits behind the point than most. */
const digitsOf: ReadonlyMap<string, number> = new Map([
  ..."BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(" ").map(withDigits(0)),
  ..."BHD IQD JOD KWD LYD OMR TND".split(" ").map(withDigits(3)),
  ..."CLF UYW".split(" ").map(withDigits(4)),
]);

function withDigits(digits: number): (unit: string) => readonly [string, number] {
  return (unit) => [unit, digits];
}
