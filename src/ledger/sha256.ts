import { hash } from "node:crypto";
import type { Sha256 } from "@countersign/sdk/tlog/rfc6962";

/** The platform's SHA-256, for whatever the server hashes with the SDK's code. */
export const sha256: Sha256 = (bytes) => hash("sha256", bytes, "buffer");

/** The name by which entries cite octets, or a text in UTF-8: as the SDK's textDigest, in one call of the platform. */
export const digestOf = (cited: string | Uint8Array): string => hash("sha256", cited, "base64url");
