import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { childEnvironment } from "../../config.ts";
import { expectThat } from "./narrator.ts";
import type { ThrowawayServer } from "./throwaway-server.ts";

/** What the demo tells the workload to do. */
export const orderSchema = z.discriminatedUnion("is", [
  z.object({ is: z.literal("identify") }),
  z.object({ is: z.literal("act"), delegation: z.string(), resource: z.string(), scope: z.string() }),
]);
export type Order = z.infer<typeof orderSchema>;

const reportSchema = z.discriminatedUnion("is", [
  z.object({ is: z.literal("identity"), spiffeId: z.string(), token: z.string() }),
  z.object({ is: z.literal("denied"), detail: z.string() }),
  z.object({
    is: z.literal("acted"),
    svid: z.string(),
    response: z.looseObject({ token_type: z.string() }),
    inbox: z.object({ status: z.number(), body: z.unknown() }),
  }),
  z.object({ is: z.literal("failed"), detail: z.string() }),
]);
/** What the workload answers. */
export type Report = z.infer<typeof reportSchema>;

/** What the workload wants of which delegation. */
export type Errand = Omit<Extract<Order, { is: "act" }>, "is">;

/** A workload that runs as a process of its own. */
export interface Workload {
  /** Where the server serves the Workload API. */
  readonly socket: string;
  /** Asks the Workload API for a JWT-SVID. */
  readonly identify: () => Promise<Extract<Report, { is: "identity" | "denied" }>>;
  /** Asks for a JWT-SVID, redeems a delegation with it, and calls the resource. */
  readonly act: (errand: Errand) => Promise<Extract<Report, { is: "acted" }>>;
  readonly stop: () => Promise<void>;
}

/** Starts the workload, under the account that plays the story. */
export function startWorkload({ dataDir, issuer }: ThrowawayServer): Workload {
  const socket = join(dataDir, "workload.sock");
  const program = fileURLToPath(new URL("workload.js", import.meta.url));
  const child = fork(program, [socket, issuer], { env: childEnvironment({}), stdio: "inherit" });
  const ended = once(child, "exit");

  async function reportOn(order: Order): Promise<Report> {
    child.send(order);
    const gone = ended.then(() => [{ is: "failed", detail: "its process ended" } satisfies Report]);
    const [report] = await Promise.race([once(child, "message"), gone]);
    return reportSchema.parse(report);
  }

  return {
    socket,
    async identify() {
      const report = await reportOn({ is: "identify" });
      expectThat(report.is === "identity" || report.is === "denied", unlike(report));
      return report;
    },
    async act(errand) {
      const report = await reportOn({ is: "act", ...errand });
      expectThat(report.is === "acted", unlike(report));
      return report;
    },
    async stop() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

function unlike(report: Report): string {
  return `the workload reports: ${report.is} ${"detail" in report ? report.detail : ""}`;
}
