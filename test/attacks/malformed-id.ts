import fc from "fast-check";

const segment = fc.stringMatching(/^[a-zA-Z0-9_-]{1,8}$/);
const wellFormedId = fc
  .tuple(
    fc.stringMatching(/^[a-z0-9_-]{1,8}(\.[a-z0-9]{1,4})?$/),
    fc.array(segment, { minLength: 1, maxLength: 4 }),
  )
  .map(([trustDomain, segments]) => ({ trustDomain, segments, path: segments.join("/") }));
const forbidden = fc.constantFrom(..." %:;,?#@!$&'()*+=[]{}<>|\\^`\"~\t\n\u0000é😀");

/** What is no SPIFFE ID, made from one by breaking one rule of the standard. @see SPIFFE-ID, sections 2.1 to 2.4 */
export const malformedId = fc
  .tuple(wellFormedId, forbidden, fc.nat(), fc.nat(65_535))
  .chain(([{ trustDomain, segments, path }, character, at, port]) => {
    const insert = (text: string, part: string) => {
      const place = at % (text.length + 1);
      return `${text.slice(0, place)}${part}${text.slice(place)}`;
    };
    const among = (part: string) => segments.toSpliced(at % (segments.length + 1), 0, part).join("/");
    const id = `spiffe://${trustDomain}/${path}`;
    return fc.constantFrom(
      ...["https:", "Spiffe:", "SPIFFE:", "spiffe", "spiffes:", ""].map((scheme) =>
        id.replace("spiffe:", scheme),
      ),
      ...["spiffe:/", "spiffe:", "spiffe:///"].map((start) => `${start}${trustDomain}/${path}`),
      ` ${id}`,
      "spiffe://",
      `spiffe:///${path}`,
      `spiffe://${insert(trustDomain, "A")}/${path}`,
      `spiffe://${insert(trustDomain, character)}/${path}`,
      `spiffe://${insert(trustDomain, "%2e")}/${path}`,
      `spiffe://user@${trustDomain}/${path}`,
      `spiffe://user:secret@${trustDomain}/${path}`,
      `spiffe://${trustDomain}:${port}/${path}`,
      `spiffe://${"a".repeat(256)}/${path}`,
      `spiffe://${trustDomain}/`,
      `${id}/`,
      ...["", ".", ".."].map((part) => `spiffe://${trustDomain}/${among(part)}`),
      `spiffe://${trustDomain}/${insert(path, character)}`,
      ...["%2e", "%2F", "%41"].map((part) => `spiffe://${trustDomain}/${insert(path, part)}`),
      `${id}?query=1`,
      `${id}#fragment`,
      `${id}/${"a".repeat(2_049 - id.length - 1)}`,
    );
  });
