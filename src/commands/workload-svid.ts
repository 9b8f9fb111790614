import { credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { SpiffeWorkloadAPIClient } from "../workload-api/generated/workload.ts";

/** What the Workload API answers a process that asks who it is. */
export type SvidAnswer =
  | { readonly is: "identity"; readonly spiffeId: string; readonly token: string }
  | { readonly is: "denied"; readonly detail: string };

const answerTimeoutMs = 10_000;

/**
 * A JWT-SVID of this very process, as any SPIFFE client library gets it: one call, over a socket that says by itself who
 * calls.
 *
 * @param socket the path of the Workload API's socket
 * @throws Error when no Workload API answers there
 */
export function fetchJwtSvid(socket: string, audience: string): Promise<SvidAnswer> {
  const client = new SpiffeWorkloadAPIClient(`unix:${socket}`, credentials.createInsecure());
  const security = new Metadata();
  security.set("workload.spiffe.io", "true");
  const request = { audience: [audience], spiffeId: "" };
  const deadline = { deadline: Date.now() + answerTimeoutMs };
  return new Promise((resolve, reject) => {
    client.fetchJwtsvid(request, security, deadline, (error: ServiceError | null, answer) => {
      client.close();
      const [svid] = answer?.svids ?? [];
      if (svid !== undefined) resolve({ is: "identity", spiffeId: svid.spiffeId, token: svid.svid });
      else if (error?.code === status.PERMISSION_DENIED)
        resolve({ is: "denied", detail: `PERMISSION_DENIED: ${error.details}` });
      else reject(error ?? new Error("the answer holds no SVID"));
    });
  });
}
