import type { Router } from "express";
import type { Metrics } from "../metrics.ts";

/** One thing that the server needs to do its work. */
export interface ReadinessCheck {
  readonly name: string;
  /** Why it is not ready, in a few words without secrets; undefined when it is. */
  run(): Promise<string | undefined>;
}

export interface HealthDeps {
  readonly checks: readonly ReadinessCheck[];
  readonly metrics: Metrics;
}

const checkTimeoutMs = 2_000;

/**
 * `/healthz`: the process runs. `/readyz`: it can do its work, else 503 with what is missing. `/metrics`: Prometheus.
 */
export function mountHealth(router: Router, deps: HealthDeps): void {
  router.get("/healthz", (_request, response) => {
    response.json({ status: "ok" });
  });
  router.get("/readyz", async (_request, response) => {
    const checks = await Promise.all(deps.checks.map(outcomeOf));
    const ready = checks.every(({ ok }) => ok);
    if (!ready) response.setHeader("retry-after", "2");
    response.status(ready ? 200 : 503).json({ status: ready ? "ok" : "unready", checks });
  });
  router.get("/metrics", async (_request, response) => {
    const { contentType, text } = await deps.metrics.render();
    response.setHeader("content-type", contentType);
    response.end(text);
  });
}

async function outcomeOf(check: ReadinessCheck) {
  const reason = await reasonWithin(check, checkTimeoutMs);
  return { name: check.name, ok: reason === undefined, ...(reason !== undefined && { reason }) };
}

async function reasonWithin(check: ReadinessCheck, timeoutMs: number): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, "it does not answer in time");
  });
  try {
    return await Promise.race([check.run(), late]);
  } catch {
    // What it threw may name hosts and accounts; that it failed is what a prober needs.
    return "it can't be reached";
  } finally {
    clearTimeout(timer);
  }
}
