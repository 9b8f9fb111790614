import { parseId, parseOrganizationId } from "@countersign/sdk/model/ids";
import { expect, test } from "vitest";
import { watchHealth } from "../../src/app/watch-health.ts";
import { must } from "../journeys/server-process.ts";
import { makeLedgerInstallation } from "./installation.ts";

test("[SVI-050] [ORG-001] the server's status tells of an entry whose JWT-SVIDs of a day are used up, to the installation's operators alone", async () => {
  const { use } = await makeLedgerInstallation();
  const entry = must(parseId("entry", `ent_${"1".padStart(26, "0")}`));
  await use(async (ledger) => {
    const { status } = watchHealth(ledger, {
      issuer: "https://id.example",
      warnings: [],
      workloads: () => ({ notServed: () => undefined, overdrawn: () => [{ entry, lastAtMs: 0 }] }),
      onBroken: () => undefined,
    });
    const toldTo = async (organization: typeof ledger.organization) =>
      (await status(organization)).checks.filter(({ name }) => name === "JWT-SVIDs");
    expect(await toldTo(ledger.organization)).toEqual([
      {
        name: "JWT-SVIDs",
        state: "warning",
        detail: `${entry}: more were asked for than there are in a day, last at 1970-01-01T00:00:00.000Z: its workloads should use the ones that they have`,
      },
    ]);
    expect(await toldTo(must(parseOrganizationId("another")))).toEqual([]);
  });
});
