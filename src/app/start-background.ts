import { releaseUnreported } from "../journeys/action/release-unreported.ts";
import { retireExpiredAgents } from "../journeys/agent/retire-expired.ts";
import { returnBudgets } from "../journeys/delegation/return-budgets.ts";
import { keepAuthorities } from "../journeys/keys/authorities.ts";
import { rotateIfDue } from "../journeys/keys/rotate.ts";
import { listExpiredAgents } from "../store/agents.ts";
import { forgetExpiredPins } from "../store/assertion-pins.ts";
import { listExpiredBudgets } from "../store/delegations.ts";
import { forgetExpiredIdempotencyKeys } from "../store/idempotency-keys.ts";
import { forgetExpiredOfNodes } from "../store/nodes.ts";
import { forgetExpiredPushedRequests } from "../store/pushed-requests.ts";
import { forgetOldRateUses } from "../store/rate-uses.ts";
import type { ReplayMemory } from "../store/replay.ts";
import { listUnreported } from "../store/reservations.ts";
import { forgetExpiredRevocations } from "../store/revoked-tokens.ts";
import { forgetExpiredSvids } from "../store/svids.ts";
import { forgetOldTransactions } from "../store/transaction-sessions.ts";
import type { Background } from "./background.ts";
import type { OpenJourneys } from "./open-journeys.ts";
import type { OpenLedger } from "./open-ledger.ts";

interface BackgroundParts {
  readonly ledger: OpenLedger;
  readonly journeys: OpenJourneys;
  readonly replays: ReplayMemory;
  /** How long what an action may use stays reserved for it. */
  readonly reserveForMs: number;
}

/** Starts what is done from time to time, by every replica: of those that find something to do at once, one does it. */
export function startBackground(
  { every }: Background,
  { ledger, journeys, replays, reserveForMs }: BackgroundParts,
): void {
  const { db, sealer, authorities, sequencer } = ledger;
  every(5_000, "counted refusals", () => journeys.refusals.flush("due"));
  every(60_000, "one-time values", replays.purge);
  every(60_000, "expired idempotency keys", () => forgetExpiredIdempotencyKeys(db, new Date()));
  every(60_000, "expired pushed requests", () => forgetExpiredPushedRequests(db, new Date()));
  every(60_000, "expired assertions", () => forgetExpiredPins(db, new Date()));
  every(60_000, "expired revocations", () => forgetExpiredRevocations(db, new Date()));
  every(60_000, "old transactions", () => forgetOldTransactions(db, new Date()));
  every(60_000, "expired join tokens", () => forgetExpiredOfNodes(db, new Date()));
  every(60_000, "expired SVIDs", () => forgetExpiredSvids(db, new Date()));
  const budgets = {
    append: sequencer.append,
    now: Date.now,
    listExpiredBudgets: (before: Date) => listExpiredBudgets(db, before),
  };
  every(60_000, "expired budgets", () => returnBudgets(budgets));
  const reservations = {
    append: sequencer.append,
    now: Date.now,
    reserveForMs,
    listUnreported: (before: Date) => listUnreported(db, before),
  };
  every(60_000, "old rate counts", () => forgetOldRateUses(db, new Date()));
  every(60_000, "unreported actions", () => releaseUnreported(reservations));
  every(5_000, "foreign bundles", () => journeys.fetchDueBundles());
  const expiry = {
    append: sequencer.append,
    now: Date.now,
    invalidate: journeys.reads.invalidate,
    listExpiredAgents: (before: Date) => listExpiredAgents(db, before),
  };
  every(60_000, "expired agents", () => retireExpiredAgents(expiry));
  every(3_600_000, "key rotation", () => rotateIfDue(authorities));
  every(60_000, "authorities", () => keepAuthorities(authorities, { kind: "system", id: "key-schedule" }));
  every(3_600_000, "data key rotation", sealer.rotateIfDue);
}
