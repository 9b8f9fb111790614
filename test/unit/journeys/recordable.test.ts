import { reasonCharsMax } from "@countersign/sdk/contract/ledger-entry";
import { errorCodes } from "@countersign/sdk/model/error-codes";
import fc from "fast-check";
import { expect, test } from "vitest";
import { recordable } from "../../../src/journeys/record/refusal.ts";
import { sealEntry } from "../../../src/ledger/seal-entry.ts";

const reasons = fc.oneof(
  fc.string({ unit: "binary", size: "max", maxLength: 3 * reasonCharsMax }),
  // Lone surrogates and NUL, which no string that fast-check makes has.
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 3 * reasonCharsMax, size: "max" })
    .map((units) => String.fromCharCode(...units)),
  fc.integer({ min: reasonCharsMax - 2, max: reasonCharsMax }).map((length) => `${"x".repeat(length)}🔒`),
);

test("[LED-001] any refusal of any length is part of a legal entry", () => {
  fc.assert(
    fc.property(fc.constantFrom(...errorCodes), reasons, (code, reason) => {
      const refusal = recordable({ code, publicDetail: "no", reason });
      const actor = { kind: "agent", id: "agent_1" } as const;
      const body = { type: "token.refused", actor, refusal } as const;
      const { entry } = sealEntry(body, "test/log/default", new Uint8Array(16), 0);
      expect(JSON.parse(entry).refusal).toEqual(refusal);
    }),
  );
});
