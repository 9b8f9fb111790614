import { leafHash } from "@countersign/sdk/tlog/rfc6962";
import { expect, test } from "vitest";
import { sealEntry } from "../../src/ledger/seal-entry.ts";
import { acmeLog, entryBody, originOf } from "./ledger-fixture.ts";

test("an entry is sealed with the leaf hash that verifiers compute, in any script", () => {
  for (const reason of ["plain", "naïve", "許可", "🔏".repeat(400)]) {
    const body = { ...entryBody(1), refusal: { code: "not_authorized", reason } };
    const sealed = sealEntry(body, originOf(acmeLog), new Uint8Array(16), 0);
    expect(sealed.entry).toContain(reason);
    expect(Buffer.from(sealed.leafHash)).toEqual(Buffer.from(leafHash(Buffer.from(sealed.entry, "utf8"))));
  }
});
