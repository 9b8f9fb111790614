/** One element of a DER encoding. */
export interface DerElement {
  /** The identifier octet: class, whether it is constructed, and a tag number below 31. */
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content: what a signature is made over, for one. */
  readonly whole: Uint8Array;
}

/** These octets are no DER, or not the DER that was expected. */
export class DerError extends Error {
  override readonly name = "DerError";
}

const elementsMax = 256;

/**
 * The one element that these octets are. Lengths must be definite and in their shortest form: there is one encoding of
 * each value, so that two readers can't read two things.
 *
 * @throws DerError for anything else, octets behind it among them
 * @see X.690, section 10.1
 */
export function readDer(octets: Uint8Array): DerElement {
  const element = elementAt(octets, 0);
  if (element.whole.length !== octets.length) throw new DerError("there are octets behind the end");
  return element;
}

/** The elements that these octets are, one behind the other. @throws DerError */
export function readDerList(octets: Uint8Array): readonly DerElement[] {
  const elements: DerElement[] = [];
  for (let place = 0; place < octets.length; ) {
    const element = elementAt(octets, place);
    elements.push(element);
    if (elements.length > elementsMax) throw new DerError("there are too many elements");
    place += element.whole.length;
  }
  return elements;
}

/** What an element of this tag holds. @throws DerError for another tag, or none */
export function contentOf(element: DerElement | undefined, tag: number): Uint8Array {
  if (element?.tag !== tag) throw new DerError("an element is missing, or is of another type");
  return element.content;
}

/** Whether an element is TRUE. @throws DerError for another type, and for a truth in another spelling */
export function readDerBoolean(element: DerElement): boolean {
  const [value, ...more] = contentOf(element, 0x01);
  if (more.length > 0 || (value !== 0x00 && value !== 0xff)) throw new DerError("a boolean is malformed");
  return value === 0xff;
}

/** An object identifier in its dotted form. @throws DerError @see X.690, section 8.19 */
export function readDerOid(element: DerElement | undefined): string {
  const octets = contentOf(element, 0x06);
  const arcs: number[] = [];
  let arc = 0;
  for (const [place, octet] of octets.entries()) {
    if (arc === 0 && octet === 0x80) throw new DerError("an identifier is not in its shortest form");
    arc = arc * 128 + (octet & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER / 128) throw new DerError("an identifier is too long");
    if (octet < 0x80) {
      arcs.push(arc);
      arc = 0;
    } else if (place === octets.length - 1) throw new DerError("an identifier is cut short");
  }
  const [first] = arcs;
  if (first === undefined) throw new DerError("an identifier is empty");
  const root = Math.min(Math.floor(first / 40), 2);
  return [root, first - root * 40, ...arcs.slice(1)].join(".");
}

/** The octets of a bit string, and how many of the last one's low bits do not count. @throws DerError */
export function readDerBits(element: DerElement | undefined): {
  readonly octets: Uint8Array;
  readonly unused: number;
} {
  const content = contentOf(element, 0x03);
  const [unused = 8] = content;
  const octets = content.subarray(1);
  const spare = (octets.at(-1) ?? 0) & ((1 << unused) - 1);
  if (unused > 7 || (octets.length === 0 && unused > 0) || spare !== 0)
    throw new DerError("a bit string is malformed");
  return { octets, unused };
}

/** A whole number that is not negative, and small. @throws DerError */
export function readDerCount(element: DerElement | undefined): number {
  const octets = contentOf(element, 0x02);
  const [first = 0x80, second = 0x80] = octets;
  const isShortest = octets.length === 1 || first !== 0 || second >= 0x80;
  if (first >= 0x80 || octets.length > 4 || !isShortest) throw new DerError("a number is malformed");
  return octets.reduce((value, octet) => value * 256 + octet, 0);
}

function elementAt(octets: Uint8Array, start: number): DerElement {
  const tag = octets[start];
  const first = octets[start + 1];
  if (tag === undefined || first === undefined) throw new DerError("an element is cut short");
  if ((tag & 0x1f) === 0x1f) throw new DerError("a tag is in its long form");
  const lengthOctets = first < 0x80 ? 0 : first & 0x7f;
  // 0x80 alone would be an indefinite length; more than three octets are more than anybody sends.
  if (first === 0x80 || lengthOctets > 3) throw new DerError("a length is malformed");
  const contentStart = start + 2 + lengthOctets;
  let length = first;
  if (lengthOctets > 0) {
    length = octets.subarray(start + 2, contentStart).reduce((value, octet) => value * 256 + octet, 0);
    if (length < 0x80 || length < 256 ** (lengthOctets - 1))
      throw new DerError("a length is not in its shortest form");
  }
  const end = contentStart + length;
  if (end > octets.length) throw new DerError("an element is cut short");
  return { tag, content: octets.subarray(contentStart, end), whole: octets.subarray(start, end) };
}
