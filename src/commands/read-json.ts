import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { UsageError } from "./cli.ts";

const fileBytesMax = 64 * 1024;

/** The JSON in a file. @throws UsageError naming the file when it can't be read, or is too long */
export async function readJson(path: string): Promise<unknown> {
  if (!existsSync(path)) throw new UsageError(`${path} does not exist`);
  try {
    const text = await readFile(path, "utf8");
    if (text.length > fileBytesMax) throw new RangeError("too long");
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${path} can't be read as JSON`, { cause: error });
  }
}
