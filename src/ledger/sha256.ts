import { hash } from "node:crypto";
import type { Sha256 } from "@countersign/sdk/tlog/rfc6962";

/** The platform's SHA-256, for whatever the server hashes with the SDK's code. */
export const sha256: Sha256 = (bytes) => hash("sha256", bytes, "buffer");
