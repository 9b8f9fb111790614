const field = / *"((?:[^"]|"")*)" *(,|$)|([^",]*)(,|$)/y;

/**
 * The fields of one line of comma-separated values, or undefined when it is malformed. A field that holds a comma or a
 * quote is quoted, and a quote in it is doubled; spaces around a field that is not quoted, or around the quotes, don't
 * count. A space of another kind counts. Nothing is guessed: stock Casbin's reader joins, trims and skips, and so grants what nobody wrote.
 *
 * @see RFC 4180, section 2, items 4 to 7; a field never spans lines
 */
export function parseCsvLine(line: string): string[] | undefined {
  const fields: string[] = [];
  field.lastIndex = 0;
  for (;;) {
    const [, quoted, quotedEnd, bare = "", bareEnd] = field.exec(line) ?? [];
    const end = quotedEnd ?? bareEnd;
    if (end === undefined) return undefined;
    fields.push(quoted === undefined ? bare.replace(/^ +| +$/g, "") : quoted.replaceAll('""', '"'));
    if (end === "") return fields;
  }
}
