import { attestedChecksum } from "@countersign/sdk/model/agent-configuration";
import type { Selector } from "@countersign/sdk/model/selector";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { type handleUnaryCall, type Metadata, status } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { DomainError } from "../domain/domain-error.ts";
import type { SvidSource, WorkloadPeer } from "../domain/svid-source.ts";
import type { Connection, RefusedCall } from "./connections.ts";
import type { Places } from "./places.ts";
import { toStatus } from "./to-status.ts";

/** What every method of the socket has its answers from. */
export interface AnswerDeps {
  readonly source: SvidSource;
  readonly logger: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly isOutage: (error: unknown) => boolean;
  readonly connectionOf: (peer: string) => Connection | undefined;
  readonly streamsPerConnectionMax: number;
  readonly streamPlaces: Places;
  readonly silentMs: number;
  readonly onRefused: (refused: RefusedCall) => void;
}

/** A call, whichever kind. */
export interface Call {
  readonly metadata: Metadata;
  readonly getPeer: () => string;
  readonly getPath: () => string;
}

/** A process that called, and what attestation found true of it. */
export interface Workload {
  readonly peer: WorkloadPeer;
  readonly selectors: readonly Selector[];
  /** How many costly kinds of selectors were looked for. */
  readonly kinds: number;
}

/** Lets a call in, or refuses it, before anything else of it is looked at. @throws DomainError */
export type Admission = (call: Call) => void;

/**
 * Who was tricked into calling an address that another chose can't add this to the call.
 *
 * @see SPIFFE Workload Endpoint, section 3
 */
export const demandSecurityHeader: Admission = ({ metadata }) => {
  const values = metadata.get("workload.spiffe.io");
  if (values.length !== 1 || values[0] !== "true")
    throw new DomainError("invalid_request", "the metadata workload.spiffe.io: true is missing");
};

/** Attests who called. @throws DomainError `not_attested`; what the source throws */
async function attestCaller({ source }: Pick<AnswerDeps, "source">, { peer }: Connection): Promise<Workload> {
  const kinds = source.wantedKinds().size;
  const workload = { peer, selectors: await source.attest(peer), kinds };
  demandAlive(workload);
  return workload;
}

/** Has answers made for one caller. @throws DomainError `not_attested`; what the source and the maker throw */
export type AnswerCaller = <Answer>(make: (workload: Workload) => Promise<Answer>) => Promise<Answer>;

/**
 * Attests a caller once, and anew when an entry asks for what was not looked for; it gets an answer while it is there. Whose
 * configuration was measured is measured anew for each answer: it may have taken another since, which nobody approved.
 */
export function answersCaller(deps: AnswerDeps, connection: Connection): AnswerCaller {
  let attested: Promise<Workload> | undefined;
  async function current(): Promise<Workload> {
    const known = await attested;
    if (known !== undefined && isStillSo(known)) return known;
    attested = attestCaller(deps, connection);
    return attested;
  }
  function hasNewKinds({ kinds }: Workload): boolean {
    return kinds !== deps.source.wantedKinds().size;
  }

  function isStillSo(known: Workload): boolean {
    return !hasNewKinds(known) && attestedChecksum(known.selectors) === undefined;
  }

  return async (make) => {
    const workload = await current();
    const answered = await make(workload).catch(async (error: unknown) => {
      // The first entry of a kind may have become known only as this answer was looked for.
      if (!hasNewKinds(workload)) throw error;
      return make(await current());
    });
    demandAlive(workload);
    return answered;
  };
}

/** Keeps from a process what was meant for the one before it under the same pid. @throws DomainError `not_attested` */
function demandAlive({ peer }: Workload): void {
  if (!peer.isAlive()) throw new DomainError("not_attested", "the caller is gone");
}

/** @throws DomainError `not_attested`: no RegistrationEntry matches */
export function demandIdentity<Item>(given: readonly Item[]): [Item, ...Item[]] {
  const [first, ...more] = given;
  if (first === undefined) throw new DomainError("not_attested", "no identity issued");
  return [first, ...more];
}

/** @throws DomainError `not_attested`: the connection is over */
export function callingConnection(deps: Pick<AnswerDeps, "connectionOf">, call: Call): Connection {
  const connection = deps.connectionOf(call.getPeer());
  if (connection === undefined) throw new DomainError("not_attested", "the caller is gone");
  return connection;
}

/** A method that answers once, to an attested workload that is still there. */
export function answersOnce<Request, Parsed, Answer>(
  deps: AnswerDeps,
  admit: Admission,
  parse: (request: Request) => Parsed,
  answer: (workload: Workload, request: Parsed) => Promise<Answer>,
): handleUnaryCall<Request, Answer> {
  async function answerTo(call: Call & { readonly request: Request }): Promise<Answer> {
    admit(call);
    const request = parse(call.request);
    return answersCaller(deps, callingConnection(deps, call))((workload) => answer(workload, request));
  }
  return (call, respond) => {
    answerTo(call).then(
      (answered) => respond(null, answered),
      (error: unknown) => respond(refusalOf(deps, call, error)),
    );
  };
}

/** What a call is told of an error, which is one line of the log. */
export function refusalOf(
  {
    logger,
    isOutage,
    connectionOf,
    onRefused,
  }: Pick<AnswerDeps, "logger" | "isOutage" | "connectionOf" | "onRefused">,
  call: Call,
  error: unknown,
): ReturnType<typeof toStatus> {
  const refusal = toStatus(isOutage, error);
  const { pid, uid } = connectionOf(call.getPeer())?.peer ?? {};
  const facts = { method: call.getPath(), status: status[refusal.code], pid, uid };
  const isRefused = error instanceof DomainError || error instanceof VerificationError;
  if (isRefused && refusal.code !== status.INTERNAL) {
    logger.info({ ...facts, detail: refusal.details }, "a call of the Workload API was refused");
    // What can't be had now is no fault of the caller's.
    if (refusal.code !== status.UNAVAILABLE) onRefused({ reason: error.code, endpoint: call.getPath() });
  } else logger.error({ ...facts, err: error }, "a call of the Workload API failed");
  return refusal;
}

/** A stream of answers, to one request or to many. */
export interface AnswerStream<Answer> extends Call {
  readonly write: (answer: Answer, onTaken: () => void) => unknown;
  readonly emit: (event: "error", refusal: ReturnType<typeof toStatus>) => unknown;
  readonly once: (event: "cancelled", onCancelled: () => void) => unknown;
}
