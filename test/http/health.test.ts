import { parseLogId } from "@countersign/sdk/model/ids";
import { afterEach, expect, it } from "vitest";
import { DomainError } from "../../src/domain/domain-error.ts";
import { createMetrics } from "../../src/http/metrics.ts";
import { must } from "../journeys/server-process.ts";
import { openFace } from "./face.ts";

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const face of opened.splice(0)) await face.close();
});
async function open(deps: NonNullable<Parameters<typeof openFace>[0]>["deps"] = {}) {
  const face = await openFace({ deps });
  opened.push(face);
  return face;
}

it("is healthy while the process runs, ready only while all it needs answers, and says what is missing", async () => {
  const checks = [
    { name: "database", run: () => Promise.reject(new Error("password authentication failed for user")) },
    { name: "keys", run: async () => undefined },
    { name: "ledger", run: async () => "5 entries wait" },
  ];
  const face = await open({ checks });
  expect((await fetch(`${face.issuer}/healthz`)).status).toBe(200);
  const response = await fetch(`${face.issuer}/readyz`);
  expect([response.status, response.headers.get("retry-after")]).toEqual([503, "2"]);
  expect(await response.json()).toEqual({
    status: "unready",
    checks: [
      { name: "database", ok: false, reason: "it can't be reached" },
      { name: "keys", ok: true },
      { name: "ledger", ok: false, reason: "5 entries wait" },
    ],
  });
});

it("takes a dependency that never answers for not ready", async () => {
  const face = await open({ checks: [{ name: "database", run: () => new Promise(() => undefined) }] });
  expect((await fetch(`${face.issuer}/readyz`)).status).toBe(503);
});

it("measures requests by route template and journeys by outcome, in a registry of its own", async () => {
  const metrics = createMetrics();
  const refused = metrics.timed("exchangeToken", () =>
    Promise.reject(new DomainError("invalid_scope", "no")),
  );
  await expect(refused()).rejects.toThrow("no");
  metrics.watchLedger(async () => ({ queued: 3, unpublished: [] }));
  metrics.watchWorkloads(() => ({ held: { x509: 2, jwt: 5 }, streams: 7 }));
  const face = await open({ metrics });
  await fetch(`${face.issuer}/v1/users/usr_1`);
  await fetch(`${face.issuer}/nowhere/${"x".repeat(50)}`);
  await fetch(`${face.issuer}/token`, { method: "POST" });
  const text = await (await fetch(`${face.issuer}/metrics`)).text();
  expect(text).toContain(
    'countersign_http_request_duration_seconds_count{method="GET",route="/v1/users/:id",status="401"} 1',
  );
  expect(text).toContain('route="none",status="404"');
  expect(text).toContain('route="/token"');
  expect(text).toContain(
    'countersign_journey_duration_seconds_count{journey="exchangeToken",outcome="invalid_scope"} 1',
  );
  expect(text).toContain("countersign_ledger_queued_entries 3");
  expect(text).toContain('countersign_svids_held{svid="jwt"} 5');
  expect(text).toContain("countersign_workload_api_streams 7");
});

it("[ORG-001] names no organization to whoever asks for the metrics: their logs are counted together", async () => {
  const metrics = createMetrics();
  const unpublished = ["system", "acme", "umbrella"].map((name, place) => ({
    log: must(parseLogId(name)),
    entries: 1 + place,
  }));
  metrics.watchLedger(async () => ({ queued: 0, unpublished }));
  const face = await open({ metrics });
  const read = async () => (await fetch(`${face.issuer}/metrics`)).text();
  await read();
  const text = await read();
  const counted = text
    .split("\n")
    .filter((line) => line.startsWith("countersign_ledger_unpublished_entries{"));
  expect(counted.sort()).toEqual([
    'countersign_ledger_unpublished_entries{log="organizations"} 5',
    'countersign_ledger_unpublished_entries{log="system"} 1',
  ]);
  expect(text).not.toMatch(/acme|umbrella/);
});

it("still gives the other metrics while the ledger can't be asked", async () => {
  const metrics = createMetrics();
  metrics.watchLedger(() => Promise.reject(new Error("database gone")));
  const face = await open({ metrics });
  const text = await (await fetch(`${face.issuer}/metrics`)).text();
  expect(text).toContain("process_cpu_seconds_total");
  expect(text).toContain("countersign_ledger_queued_entries Nan");
});
