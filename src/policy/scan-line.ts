const comma = 0x2c;
const blank = 0x20;
const quote = 0x22;

/**
 * Finds the fields of a line within a text, as parseCsvLine() has them, without cutting them out: where each begins and
 * ends, one after the other. Answers how many there are; undefined for a line with quotes or with anything but printable
 * ASCII, which takes a closer look, and for one with more fields than there is room for.
 */
export function scanLine(text: string, start: number, end: number, fields: Int32Array): number | undefined {
  let count = 0;
  let begin = start;
  for (let at = start; at <= end; at++) {
    const code = at === end ? comma : text.charCodeAt(at);
    if (code < blank || code > 0x7e || code === quote) return undefined;
    if (code !== comma) continue;
    if (2 * count === fields.length) return undefined;
    let [first, last] = [begin, at];
    while (first < last && text.charCodeAt(first) === blank) first++;
    while (last > first && text.charCodeAt(last - 1) === blank) last--;
    fields[2 * count] = first;
    fields[2 * count + 1] = last;
    count++;
    begin = at + 1;
  }
  return count;
}
