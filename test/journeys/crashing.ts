import type { LedgerEntryType } from "@countersign/sdk/contract/ledger-entry";
import { type LogId, logOf } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { expect } from "vitest";
import { keepAnswer, onceWrite, recallAnswer } from "../../src/journeys/idempotency/repeats.ts";
import type { RequestContext } from "../../src/journeys/record/record.ts";
import { addAnswer, findIdempotencyKey } from "../../src/store/idempotency-keys.ts";
import { context, organization } from "./server-process.ts";
import type { World } from "./world.ts";

class Crash extends Error {
  override readonly name = "Crash";
}

/** What answers at once, and so can't be died in. */
const immediate = new Set([
  "now",
  "randomBytes",
  "decide",
  "invalidate",
  "signReceipt",
  "x509Authority",
  "jwtAuthority",
  "trustBundle",
  "svidBundle",
  "admitRenewal",
  "countFailure",
]);

/** It dies before what it asks for is done, or before it knows that it is. */
const moments = ["before", "after"] as const;
type Moment = (typeof moments)[number];

interface Dying<Deps> {
  readonly deps: Deps;
  readonly hasDied: () => boolean;
}

type Asked = (...given: readonly unknown[]) => unknown;

/** The same deps of a process that dies at its `place`th await, and asks for nothing more from then on. */
function dyingAt<Deps extends object>(all: Deps, place: number, when: Moment): Dying<Deps> {
  let awaited = 0;
  const mortal =
    (ask: Asked) =>
    async (...given: readonly unknown[]) => {
      awaited++;
      if (awaited > place || (awaited === place && when === "before")) throw new Crash();
      const answer = await ask(...given);
      if (awaited >= place) throw new Crash();
      return answer;
    };
  const dying = Object.entries(all).map(([name, dep]) => {
    if (name === "db") return [name, { prisma: mortalMethods(dep.prisma, mortal) }];
    return [name, typeof dep !== "function" || immediate.has(name) ? dep : mortal(dep)];
  });
  // The same names with the same signatures; of the database what the journeys use.
  return { deps: Object.fromEntries(dying) as Deps, hasDied: () => awaited >= place };
}

/** The database's client, each statement of which is an await; those of its tables too. */
function mortalMethods<Client extends object>(client: Client, mortal: (ask: Asked) => Asked): Client {
  return new Proxy(client, {
    get(_, name) {
      const part: unknown = Reflect.get(client, name);
      if (typeof part === "function") return mortal(part.bind(client));
      return typeof part === "object" && part !== null ? mortalMethods(part, mortal) : part;
    },
  });
}

/** What a process that may die answers; undefined of one that died. */
export async function unlessDead<Answer>(answer: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Crash) return undefined;
    throw error;
  }
}

/**
 * Runs what a process does again and again, and lets it die one await later each time, until it gets through.
 *
 * @returns how often it died
 */
export async function atEachAwait<Deps extends object>(
  depsOf: () => Deps,
  run: (dying: Dying<Deps>, name: string) => Promise<unknown>,
): Promise<number> {
  let deaths = 0;
  for (const when of moments) {
    for (let place = 1, died = true; died; place++) {
      const dying = dyingAt(depsOf(), place, when);
      await run(dying, `${when} ${place}`);
      died = dying.hasDied();
      if (died) deaths++;
    }
  }
  return deaths;
}

/** One change that is asked for under an idempotency key, ready to be made, on things that nobody else uses. */
export interface KeyedChange<Deps> {
  readonly caller: Principal;
  /** What its commits are, in order. */
  readonly types: readonly LedgerEntryType[];
  /** Which of them bears the key; default: the first. */
  readonly keyed?: number;
  /** Default: the organization's. */
  readonly log?: LogId;
  make(deps: Deps, context: RequestContext): Promise<unknown>;
  /** The rows that stand or fall with its entries. */
  rows(): Promise<unknown>;
  /** What every server does from time to time, whoever asks. */
  catchUp?(): Promise<unknown>;
}

/** What a process does for who has no key to repeat it by. */
export interface Doing<Deps> {
  /** What its commits are, in order. */
  readonly types: readonly LedgerEntryType[];
  make(deps: Deps): Promise<unknown>;
  /** The rows that stand or fall with its entries. */
  rows(): Promise<unknown>;
  /** What who heard no answer does next, and what has to come of it. @param done how many of the entries were committed */
  next(done: number): Promise<void>;
}

const keyOf = ({ caller }: KeyedChange<never>, key: string) => ({
  organization,
  principal: caller.id,
  key,
  requestHash: "asked",
  keepsAnswer: true,
});

/** Lets keyed changes die in a world. */
export function openCrashes<Deps extends Pick<World["deps"], "now" | "sealer">>(
  world: World,
  given: () => Deps,
) {
  const depsOf = () => ({
    ...given(),
    findIdempotencyKey: (name: Parameters<typeof findIdempotencyKey>[1]) =>
      findIdempotencyKey(world.db, name),
    addAnswer: (...answer: [Parameters<typeof addAnswer>[1], Parameters<typeof addAnswer>[2]]) =>
      addAnswer(world.db, ...answer),
  });
  type All = ReturnType<typeof depsOf>;

  /** Makes a change under an idempotency key, as the API does. */
  async function send(deps: All, change: KeyedChange<Deps>, key: string): Promise<string> {
    const keyed = keyOf(change, key);
    const kept = await recallAnswer(deps, keyed);
    if (kept !== undefined) return kept.text;
    const demands = { writes: [onceWrite(deps, keyed)], conditions: [] };
    const text = JSON.stringify((await change.make(deps, { ...context, demands })) ?? null);
    await keepAnswer(deps, keyed, { status: 200, text });
    return text;
  }

  /** What became of a change that was sent to a process which may have died. */
  async function crashIn(change: KeyedChange<Deps>, key: string, deps: All) {
    const { types, keyed = 0, log = logOf(organization) } = change;
    const [rows, size] = [await change.rows(), (await world.entries(log)).length];
    const answer = await unlessDead(send(deps, change, key));
    const recorded = (await world.entries(log)).slice(size).map(({ type }) => type);
    expect(recorded, key).toEqual(types.slice(0, recorded.length));
    if (recorded.length > 0) expect(await change.rows(), key).not.toEqual(rows);
    else expect(await change.rows(), key).toEqual(rows);
    const stored = await findIdempotencyKey(world.db, keyOf(change, key));
    const isDone = recorded.length > keyed;
    expect(stored?.index, key).toBe(isDone ? size + keyed : undefined);
    return { answer, size, index: size + keyed, isDone, keptAnswer: stored?.answer !== undefined };
  }

  /** Each change is made once, however often its key is sent, wherever a process dies in it. */
  async function sendToTheDying(ready: () => Promise<KeyedChange<Deps>>, name: string) {
    const deaths = { beforeCommit: 0, afterCommit: 0 };
    await atEachAwait(depsOf, async ({ deps, hasDied }, where) => {
      const [change, key] = [await ready(), `${name} ${where}`];
      const outcome = await crashIn(change, key, deps);
      if (hasDied()) deaths[outcome.isDone ? "afterCommit" : "beforeCommit"]++;

      const repeat = () => send(depsOf(), change, key).catch(({ message }: Error) => message);
      const [first, second] = [await repeat(), await repeat()];
      expect(second, key).toBe(first);
      if (outcome.answer !== undefined) expect(first, key).toBe(outcome.answer);
      const { types, log = logOf(organization) } = change;
      // What it would have answered is lost with the process: the repeat is told where it is recorded.
      if (outcome.isDone && !outcome.keptAnswer)
        expect(first).toContain(`at index ${outcome.index} of the log`);
      await change.catchUp?.();
      const made = (await world.entries(log)).slice(outcome.size).map(({ type }) => type);
      expect(made, key).toEqual(types);
    });
    // Of each kind there are the two sides of the commit, and of what follows or comes before it.
    expect(deaths.beforeCommit).toBeGreaterThan(2);
    expect(deaths.afterCommit).toBeGreaterThan(2);
  }

  /** Of each thing entry and rows are there or neither, wherever a process dies in it, and what comes next goes on from that. */
  async function doAmongTheDying(ready: () => Promise<Doing<Deps>>) {
    const reached = new Set<number>();
    await atEachAwait(given, async ({ deps, hasDied }, where) => {
      const { types, make, rows, next } = await ready();
      const [before, size] = [await rows(), (await world.entries()).length];
      const answer = await unlessDead(make(deps));
      const recorded = (await world.entries()).slice(size).map(({ type }) => type);
      expect(recorded, where).toEqual(answer === undefined ? types.slice(0, recorded.length) : types);
      if (recorded.length > 0) expect(await rows(), where).not.toEqual(before);
      else expect(await rows(), where).toEqual(before);
      if (hasDied()) reached.add(recorded.length);
      await next(recorded.length);
    });
    // It died before its commits and after each.
    expect(reached.size).toBeGreaterThan(1);
  }

  return { sendToTheDying, doAmongTheDying };
}
