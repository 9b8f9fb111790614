import { z } from "zod";
import type { Answer } from "./cli.ts";
import { optional } from "./define.ts";

export const limitOption = () => optional("--limit <count>", "at most so many, 1 to 200").default("50", "50");

/** The options of every command that lists. */
export const pageOptions = () => [
  limitOption(),
  optional("--cursor <cursor>", "where the page before ended"),
];

export const aLimit = z
  .string()
  .regex(/^([1-9][0-9]?|1[0-9][0-9]|200)$/, "must be a whole number from 1 to 200")
  .transform(Number);

/** What `pageOptions` were given, for this list. */
export function pageGiven({ query }: ListOperation) {
  return { limit: aLimit, cursor: query?.shape.cursor ?? z.undefined() };
}

interface ListOperation {
  readonly query?: { readonly shape: { readonly cursor: z.ZodOptional<z.ZodString> } };
}

interface Page<Item> {
  readonly items: readonly Item[];
  readonly next?: string | undefined;
}

/** A page: as it came, and as lines in columns with the option that shows the next one. */
export function pageAnswer<Item>(
  page: Page<Item>,
  cellsOf: (item: Item) => readonly (string | undefined)[],
): Answer {
  const lines = [columns(page.items.map(cellsOf)), page.next && `more: --cursor ${page.next}`];
  return { json: page, text: lines.filter(Boolean).join("\n") || "none" };
}

/** All items of a list, however many pages they fill. */
export async function allItems<Item>(
  readPage: (query: { readonly limit: number; readonly cursor: string | undefined }) => Promise<Page<Item>>,
): Promise<Item[]> {
  const all: Item[] = [];
  let cursor: string | undefined;
  do {
    const page = await readPage({ limit: 200, cursor });
    all.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined);
  return all;
}

/** Lines of cells, those of one place in one column; what is undefined is left empty. */
export function columns(rows: readonly (readonly (string | undefined)[])[]): string {
  return columnLines(rows).join("\n");
}

/** The same, a text for each row. */
export function columnLines(rows: readonly (readonly (string | undefined)[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell = "", place) => {
      widths[place] = Math.max(widths[place] ?? 0, cell.length);
    });
  }
  const lineOf = (row: readonly (string | undefined)[]) =>
    row.map((cell = "", place) => cell.padEnd(widths[place] ?? 0)).join("  ");
  return rows.map((row) => lineOf(row).trimEnd());
}
