import {
  contentOf,
  type DerElement,
  DerError,
  readDer,
  readDerBits,
  readDerBoolean,
  readDerCount,
  readDerList,
  readDerOid,
} from "./der-reader.ts";

/** What the purpose of a key is said to be: RFC 5280, section 4.2.1.3. */
export interface KeyUsage {
  readonly critical: boolean;
  readonly digitalSignature: boolean;
  readonly keyCertSign: boolean;
  readonly cRLSign: boolean;
}

/** What an X.509 certificate says, as far as an SVID is concerned. Nothing of it is verified. */
export interface Certificate {
  /** What was signed. */
  readonly toBeSigned: Uint8Array;
  /** The dotted identifier of the algorithm. */
  readonly signatureAlgorithm: string;
  readonly signature: Uint8Array;
  /** Serial number, big-endian. */
  readonly serial: Uint8Array;
  /** Distinguished names in DER: the same name is the same octets. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  readonly isAuthority: boolean;
  /** How many authorities may stand between it and a leaf; undefined: any number. */
  readonly pathLength: number | undefined;
  readonly keyUsage: KeyUsage | undefined;
  /** Dotted identifiers; undefined where the extension is absent. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  /** The URIs among its names. */
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
  /** Identifiers of extensions that must not be ignored and are not understood here. */
  readonly notUnderstood: readonly string[];
}

const certificateBytesMax = 16_384;
const tags = { sequence: 0x30, integer: 0x02, octetString: 0x04, extensions: 0xa3, version: 0xa0 } as const;
const extensionIds = {
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  authorityKeyId: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
} as const;
const known: ReadonlySet<string> = new Set(Object.values(extensionIds));

/** Reads a certificate of version 3. @throws DerError for anything else @see RFC 5280, section 4.1 */
export function readCertificate(der: Uint8Array): Certificate {
  if (der.length > certificateBytesMax) throw new DerError("a certificate is too long");
  const [toBeSigned, algorithm, signature, ...more] = readDerList(contentOf(readDer(der), tags.sequence));
  if (toBeSigned === undefined || more.length > 0) throw new DerError("a certificate has three parts");
  const [version, serial, inner, issuer, validity, subject, publicKey, ...optional] = readDerList(
    contentOf(toBeSigned, tags.sequence),
  );
  if (readDerCount(readDer(contentOf(version, tags.version))) !== 2)
    throw new DerError("a certificate is of another version");
  // The algorithm stands inside and outside of what is signed: they must not differ.
  if (algorithm === undefined || inner === undefined || !sameOctets(algorithm.whole, inner.whole))
    throw new DerError("a certificate names two algorithms");
  if (issuer === undefined || subject === undefined || publicKey === undefined)
    throw new DerError("a certificate is cut short");
  const [notBefore, notAfter] = readDerList(contentOf(validity, tags.sequence));
  const [extensions] = optional.filter(({ tag }) => tag === tags.extensions);
  const [name] = readDerList(contentOf(algorithm, tags.sequence));
  return {
    toBeSigned: toBeSigned.whole,
    signatureAlgorithm: readDerOid(name),
    signature: wholeOctets(signature),
    serial: contentOf(serial, tags.integer),
    issuer: issuer.whole,
    subject: subject.whole,
    notBeforeMs: timeOf(notBefore),
    notAfterMs: timeOf(notAfter),
    publicKey: publicKey.whole,
    ...readExtensions(extensions),
  };
}

interface Extension {
  readonly critical: boolean;
  readonly value: Uint8Array;
}

function readExtensions(element: DerElement | undefined) {
  const found = new Map<string, Extension>();
  const list = element === undefined ? [] : readDerList(contentOf(readDer(element.content), tags.sequence));
  for (const item of list) {
    const [id, ...rest] = readDerList(contentOf(item, tags.sequence));
    const [critical, value] = rest.length === 2 ? rest : [undefined, rest[0]];
    const oid = readDerOid(id);
    if (found.has(oid)) throw new DerError("an extension stands there twice");
    found.set(oid, {
      critical: critical !== undefined && readDerBoolean(critical),
      value: contentOf(value, tags.octetString),
    });
  }
  const names = namesOf(found.get(extensionIds.subjectAltName));
  return {
    ...basicConstraintsOf(found.get(extensionIds.basicConstraints)),
    keyUsage: keyUsageOf(found.get(extensionIds.keyUsage)),
    extendedKeyUsage: purposesOf(found.get(extensionIds.extendedKeyUsage)),
    ...names,
    subjectKeyId: subjectKeyIdOf(found.get(extensionIds.subjectKeyId)),
    authorityKeyId: authorityKeyIdOf(found.get(extensionIds.authorityKeyId)),
    // What limits the names below it limits them whether it is marked so or not.
    notUnderstood: [...found]
      .filter(([oid, { critical }]) => oid === extensionIds.nameConstraints || (critical && !known.has(oid)))
      .map(([oid]) => oid),
  };
}

function basicConstraintsOf(extension: Extension | undefined) {
  const parts =
    extension === undefined ? [] : readDerList(contentOf(readDer(extension.value), tags.sequence));
  const [first, second] = parts;
  const isAuthority = first?.tag === 0x01 && readDerBoolean(first);
  const length = first?.tag === tags.integer ? first : second;
  return { isAuthority, pathLength: length === undefined ? undefined : readDerCount(length) };
}

function keyUsageOf(extension: Extension | undefined): KeyUsage | undefined {
  if (extension === undefined) return undefined;
  const [first = 0] = readDerBits(readDer(extension.value)).octets;
  return {
    critical: extension.critical,
    digitalSignature: (first & 0b1000_0000) !== 0,
    keyCertSign: (first & 0b0000_0100) !== 0,
    cRLSign: (first & 0b0000_0010) !== 0,
  };
}

function purposesOf(extension: Extension | undefined): readonly string[] | undefined {
  return extension && readDerList(contentOf(readDer(extension.value), tags.sequence)).map(readDerOid);
}

function namesOf(extension: Extension | undefined) {
  const names =
    extension === undefined ? [] : readDerList(contentOf(readDer(extension.value), tags.sequence));
  const ofTag = (wanted: number) =>
    names.filter(({ tag }) => tag === wanted).map(({ content }) => ascii(content));
  return { dnsNames: ofTag(0x82), uris: ofTag(0x86) };
}

function subjectKeyIdOf(extension: Extension | undefined): Uint8Array | undefined {
  return extension && contentOf(readDer(extension.value), tags.octetString);
}

function authorityKeyIdOf(extension: Extension | undefined): Uint8Array | undefined {
  if (extension === undefined) return undefined;
  return readDerList(contentOf(readDer(extension.value), tags.sequence)).find(({ tag }) => tag === 0x80)
    ?.content;
}

function wholeOctets(element: DerElement | undefined): Uint8Array {
  const { octets, unused } = readDerBits(element);
  if (unused !== 0) throw new DerError("a signature is no whole number of octets");
  return octets;
}

/** UTCTime and GeneralizedTime in the one spelling that certificates have. @see RFC 5280, section 4.1.2.5 */
function timeOf(element: DerElement | undefined): number {
  const digits = ascii(element?.content ?? new Uint8Array());
  const full = element?.tag === 0x17 ? `${Number(digits.slice(0, 2)) < 50 ? "20" : "19"}${digits}` : digits;
  const parts = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(full);
  if (parts === null || (element?.tag !== 0x17 && element?.tag !== 0x18))
    throw new DerError("a time is malformed");
  const [, year, month, day, hour, minute, second] = parts;
  const text = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const ms = Date.parse(text);
  if (Number.isNaN(ms) || new Date(ms).toISOString() !== text) throw new DerError("a time is none");
  return ms;
}

function ascii(octets: Uint8Array): string {
  let text = "";
  for (const octet of octets) {
    if (octet > 0x7e || octet < 0x20) throw new DerError("a name is not plain text");
    text += String.fromCharCode(octet);
  }
  return text;
}

/** Whether two runs of octets are the same. */
export function sameOctets(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((octet, place) => octet === other[place]);
}
