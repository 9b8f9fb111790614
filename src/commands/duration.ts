import { z } from "zod";

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const secondsMax = 366 * 86_400;

/** The seconds that a duration such as `90s`, `30m`, `1h` or `7d` names, or undefined: also beyond a year. */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit] = /^([1-9][0-9]{0,8})([smhd])$/.exec(text) ?? [];
  const seconds = Number(digits) * (unitSeconds[unit ?? ""] ?? Number.NaN);
  return seconds <= secondsMax ? seconds : undefined;
}

/** A duration on the command line, in seconds. */
export const durationSchema = z.string().transform((text, context) => {
  const seconds = parseDuration(text);
  if (seconds !== undefined) return seconds;
  context.addIssue({
    code: "custom",
    message: "must be a duration of at most a year, such as 90s, 30m, 1h or 7d",
  });
  return z.NEVER;
});
