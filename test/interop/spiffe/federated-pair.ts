// Serves the Workload APIs of two trust domains that are federated with each other, until stdin ends. Its only line says
// where. The faces are the product's; what they give out is held in memory, as in the faces' own tests.
import { once } from "node:events";
import { join } from "node:path";
import type { Selector } from "@countersign/sdk/model/selector";
import { openWorkloadApi } from "../../../src/app/open-workload-api.ts";
import { createLogger } from "../../../src/http/logger.ts";
import { createMemorySource } from "../../workload-api/memory-source.ts";

const [directory = "."] = process.argv.slice(2);
const self = `unix:uid:${process.getuid?.()}` as Selector;
const logger = createLogger("error");

async function makeDomain(trustDomain: string) {
  const source = await createMemorySource(trustDomain);
  const spiffeId = `spiffe://${trustDomain}/workload`;
  source.entries = [{ selector: self, spiffeId }];
  const [bundle] = await source.bundles([self]);
  if (bundle === undefined) throw new Error("it has no bundle");
  return { source, bundle, trustDomain, spiffeId, socketPath: join(directory, `${trustDomain}.sock`) };
}

const here = await makeDomain("here.example");
const there = await makeDomain("there.example");
here.source.federated = [there.bundle];
there.source.federated = [here.bundle];
const apis = await Promise.all(
  [here, there].map(({ source, socketPath }) =>
    openWorkloadApi({ source, logger, isOutage: () => false }, { socketPath }),
  ),
);
console.info(
  JSON.stringify(
    [here, there].map(({ trustDomain, spiffeId, socketPath }) => ({ trustDomain, spiffeId, socketPath })),
  ),
);
await once(process.stdin.resume(), "end");
for (const { close } of apis) await close();
