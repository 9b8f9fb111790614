import { createHash, randomUUID } from "node:crypto";
import { DomainError } from "../domain/domain-error.ts";
import { type AnswerDeps, answersOnce, type Workload } from "./answer.ts";
import type { Node } from "./generated/envoy/core.ts";
import type { DiscoveryRequest, DiscoveryResponse } from "./generated/envoy/discovery.ts";
import type { SecretDiscoveryServiceServer } from "./generated/envoy/secret.ts";
import { pushAnswers } from "./push.ts";
import { parseDiscoveryRequest, secretTypeUrl } from "./requests.ts";
import { secretsFor } from "./secrets.ts";

const detailCharsMax = 256;
// Envoy sends no metadata of our choosing.
const admitAll = () => undefined;

/**
 * Envoy's secret discovery: X.509-SVIDs and bundles by name. An incremental stream is UNIMPLEMENTED.
 *
 * @see Envoy's xDS protocol, state of the world
 */
export function createSecretService(deps: AnswerDeps): SecretDiscoveryServiceServer {
  return {
    fetchSecrets: answersOnce(deps, admitAll, readRequest, (workload, request) =>
      discover(deps, workload, request),
    ),
    streamSecrets: (stream) => {
      let asked: DiscoveryRequest | undefined;
      let sent: DiscoveryResponse | undefined;
      const push = pushAnswers(deps, stream, admitAll, async (workload) => {
        if (asked === undefined) return undefined;
        const answer = await discover(deps, workload, readRequest(asked));
        if (answer.versionInfo === sent?.versionInfo) return undefined;
        sent = { ...answer, nonce: randomUUID() };
        return sent;
      });
      const silence = setTimeout(() => push.fail(saidNothing()), deps.silentMs).unref();
      for (const event of ["data", "end", "cancelled"]) stream.once(event, () => clearTimeout(silence));
      stream.on("data", (request: DiscoveryRequest) => {
        // What answers an older message than the last one speaks of things past.
        if (sent !== undefined && request.responseNonce !== sent.nonce) return;
        if (request.errorDetail !== undefined) {
          const detail = request.errorDetail.message.slice(0, detailCharsMax);
          deps.logger.warn({ detail }, "a proxy rejected its secrets");
        }
        // A proxy may say only once a stream who it is.
        asked = { ...request, node: request.node ?? asked?.node };
        push.wake();
      });
      stream.once("end", () => {
        push.stop();
        stream.end();
      });
    },
  };
}

interface Asked {
  readonly resourceNames: readonly string[];
  readonly node: Node | undefined;
}

/** Until it asks it needs no identity: whoever it is could keep as many as there are. */
function saidNothing(): DomainError {
  return new DomainError("invalid_request", "nothing was asked for in time");
}

function readRequest(request: DiscoveryRequest): Asked {
  return { ...parseDiscoveryRequest(request), node: request.node };
}

async function discover(
  { source }: AnswerDeps,
  { selectors }: Workload,
  { resourceNames, node }: Asked,
): Promise<DiscoveryResponse> {
  const svids = await source.x509Svids(selectors);
  // Not before: what signed an SVID that was issued just now may be newer than a bundle that was read meanwhile.
  const bundles = await source.bundles(selectors);
  const resources = secretsFor({ svids, bundles }, resourceNames, node);
  const hash = createHash("sha256");
  for (const { value } of resources) hash.update(`${value.length}:`).update(value);
  return { versionInfo: hash.digest("hex"), resources, typeUrl: secretTypeUrl, nonce: "" };
}
