import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign } from "node:crypto";
import type { PrivateJwk } from "@countersign/sdk/client/key-pair";

/** A self-signed certificate and its key, as PEM. */
export interface CertifiedKey {
  readonly cert: string;
  readonly key: string;
}

const hourMs = 3_600_000;

/** Signs a certificate of the key by itself, for a day, good for 127.0.0.1 and localhost. @see RFC 5280, section 4.1 */
export function selfSigned(
  privateJwk: PrivateJwk,
  commonName = "test",
  { fromMs = Date.now() - hourMs, address = [127, 0, 0, 1] } = {},
): CertifiedKey {
  const privateKey = createPrivateKey({ key: privateJwk, format: "jwk" });
  const body = toBeSigned(createPublicKey(privateKey), commonName, fromMs, address);
  const signature = bits(sign("sha256", body, privateKey));
  const der = sequence(body, ecdsaWithSha256, signature);
  return {
    cert: pem("CERTIFICATE", der),
    key: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
  };
}

function toBeSigned(publicKey: KeyObject, commonName: string, fromMs: number, address: number[]): Buffer {
  const name = sequence(tlv(0x31, sequence(oid("550403"), tlv(0x0c, Buffer.from(commonName)))));
  const validity = sequence(time(fromMs), time(fromMs + 25 * hourMs));
  // DNS names are [2], addresses [7].
  const names = sequence(tlv(0x82, Buffer.from("localhost")), tlv(0x87, Buffer.from(address)));
  const extension = sequence(oid("551d11"), tlv(0x04, names));
  return sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    name,
    validity,
    name,
    publicKey.export({ format: "der", type: "spki" }),
    tlv(0xa3, sequence(extension)),
  );
}

function tlv(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

const sequence = (...parts: Buffer[]) => tlv(0x30, Buffer.concat(parts));
const oid = (hex: string) => tlv(0x06, Buffer.from(hex, "hex"));
const bits = (octets: Buffer) => tlv(0x03, Buffer.concat([Buffer.from([0]), octets]));
const ecdsaWithSha256 = sequence(oid("2a8648ce3d040302"));

/** GeneralizedTime. */
function time(ms: number): Buffer {
  return tlv(0x18, Buffer.from(`${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:T]/g, "")}Z`));
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}
