import { z } from "zod";
import { someText } from "./define.ts";

/** `name=value` on the command line; the value may hold more of them. */
export const aPair = someText
  .regex(/^[^=]+=./, "must be name=value")
  .transform((text): [name: string, value: string] => {
    const at = text.indexOf("=");
    return [text.slice(0, at), text.slice(at + 1)];
  });

/** Several, each name once. */
export const somePairs = z
  .array(aPair)
  .refine((pairs) => new Set(pairs.map(([name]) => name)).size === pairs.length, "names one thing twice")
  .transform((pairs): Record<string, string> => Object.fromEntries(pairs));
