import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { DomainError } from "../domain/domain-error.ts";
import type { SvidSource } from "../domain/svid-source.ts";
import { createJwtSvidSigner } from "../keys/jwt-svid-signer.ts";
import { isConnectionFailure } from "../store/database-error.ts";
import { createWorkloadAttestation } from "../svid/attest/workload/attest-workload.ts";
import { createSystemdAttestor } from "../svid/attest/workload/systemd.ts";
import { createUnixAttestor } from "../svid/attest/workload/unix.ts";
import { SocketTakenError } from "../workload-api/listen.ts";
import type { Background } from "./background.ts";
import type { Closing } from "./closing.ts";
import type { OpenJourneys } from "./open-journeys.ts";
import type { OpenLedger } from "./open-ledger.ts";
import { openSvidSource } from "./open-svid-source.ts";
import { openWorkloadApi } from "./open-workload-api.ts";

export interface OpenSvidsDeps {
  readonly logger: Logger;
  readonly closing: Closing;
  readonly ledger: OpenLedger;
  readonly journeys: OpenJourneys;
  readonly every: Background["every"];
}

/**
 * Serves the Workload API to the processes of this machine. Where it can't be served, on another system than Linux or while
 * another server serves it, that is said, and everything else goes on.
 */
export async function openSvids(deps: OpenSvidsDeps, { dataDir, attestOwnUid }: Config): Promise<void> {
  const { logger, closing, ledger, journeys } = deps;
  const { keys, sequencer, authorities } = ledger;
  const source = await openSvidSource({
    ledger,
    logger,
    closing,
    append: sequencer.append,
    recordRefusal: journeys.refusals.record,
    invalidate: journeys.reads.invalidate,
    findClient: journeys.reads.client,
    now: Date.now,
    randomBytes,
    trustBundle: keys.trustBundle,
    verifySignature: authorities.verifySignature,
    signJwtSvid: createJwtSvidSigner(() => keys.jwtAuthorities().active),
    attest: attestsOthers(logger, attestOwnUid),
  });
  const place = { socketPath: join(dataDir, "workload.sock"), dataDir };
  const open = () => openWorkloadApi({ source, logger, isOutage: isConnectionFailure }, place);
  await servePatiently(deps, open);
}

const retryEveryMs = 5_000;

/** Where another server serves at the socket, as in a rolling restart, this one takes over once that one has ended. */
async function servePatiently(
  { logger, closing, every }: OpenSvidsDeps,
  open: () => Promise<{ readonly close: () => Promise<void> }>,
): Promise<void> {
  let isServed = false;
  const serve = async () => {
    if (isServed) return;
    closing.add((await open()).close);
    isServed = true;
  };
  try {
    await serve();
  } catch (err) {
    logger.warn({ err }, "the Workload API is not served");
    if (!(err instanceof SocketTakenError)) return;
    every(retryEveryMs, "Workload API", () =>
      serve().catch((error: unknown) => {
        if (!(error instanceof SocketTakenError)) throw error;
      }),
    );
  }
}

/**
 * Attests every process but those of our own account: they can read our keys, so that no SVID would say anything of them.
 */
function attestsOthers(logger: Logger, attestOwnUid: boolean): SvidSource["attest"] {
  const ownUid = process.getuid?.();
  const onFailed = (attestor: string, err: unknown) =>
    logger.warn({ err, attestor }, "a workload was not attested");
  const attest = createWorkloadAttestation([createUnixAttestor({ now: Date.now }), createSystemdAttestor()], {
    onFailed,
  });
  return async (peer) => {
    if (peer.uid === ownUid && !attestOwnUid)
      throw new DomainError(
        "not_attested",
        "the server's own account gets no SVID: run the workload under another, or the server with --attest-own-uid",
      );
    return attest(peer);
  };
}
