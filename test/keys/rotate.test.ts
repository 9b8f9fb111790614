import { parseOrganizationId, systemLog } from "@countersign/sdk/model/ids";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { onceWrite } from "../../src/journeys/idempotency/repeats.ts";
import { listKeys } from "../../src/journeys/keys/list.ts";
import { keyLifetimeMs, rotateIfDue, rotateKeys } from "../../src/journeys/keys/rotate.ts";
import { newSigningKey } from "../../src/keys/signing-key.ts";
import type { Condition } from "../../src/store/write.ts";
import { barrierFor } from "../barrier.ts";
import {
  aLog,
  createFirstKeys,
  type Installation,
  openInstallation,
  type Replica,
  systemEntries,
  theSystem,
} from "./key-fixture.ts";

describe("the life of signing keys", () => {
  let installation: Installation;
  let one: Replica;
  let other: Replica;
  beforeEach(async () => {
    installation = await openInstallation();
    one = await installation.openReplica();
    other = await installation.openReplica();
  });
  afterEach(() => installation.close());

  /** How many keys of each purpose are in each state. */
  async function census(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { purpose, logId, status } of await listKeys(one.deps)) {
      const name = `${logId ?? purpose} ${status}`;
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  }
  const firstCensus = {
    "token active": 1,
    "token next": 1,
    "jwt_authority active": 1,
    "jwt_authority next": 1,
    "system active": 1,
    "default active": 1,
  };
  const typesOf = async () => (await systemEntries(one)).map(({ type }) => type);

  it("makes each first key once, however many processes start at once", async () => {
    const third = await installation.openReplica();
    await Promise.all([one, other, third].map(createFirstKeys));
    expect(await census()).toEqual(firstCensus);
    const kids = [one, other, third].map(({ ring }) => ring.tokenKeys().active.kid);
    expect(new Set(kids).size).toBe(1);
    expect(await typesOf()).toEqual(Array.from({ length: 4 }, () => "key.created"));
  });

  it("makes nothing where nothing is missing", async () => {
    await createFirstKeys(one);
    await createFirstKeys(other);
    expect(await census()).toEqual(firstCensus);
    expect(await typesOf()).toHaveLength(4);
  });

  it("[KEY-002] rotates a token key in one entry that names all it changed", async () => {
    await createFirstKeys(one);
    const [first, second] = one.ring.tokenKeys().published;
    const [rotation] = await rotateKeys(one.deps, {
      purpose: "token",
      by: theSystem,
      context: { requestId: "req-1" },
    });
    expect(rotation).toMatchObject({ purpose: "token", activated: second?.kid, retired: first?.kid });
    expect(await census()).toEqual({ ...firstCensus, "token retired": 1 });
    const entries = await systemEntries(one);
    const next = one.ring.tokenKeys().published[1];
    expect(entries[rotation?.ledger.index ?? -1]).toMatchObject({
      type: "key.activated",
      actor: theSystem,
      request: "req-1",
      detail: { purpose: "token", activated: second?.kid, retired: first?.kid, next: next?.kid },
    });
  });

  it("rotates the token key and the key of every log when no purpose is named", async () => {
    await createFirstKeys(one);
    const rotations = await rotateKeys(one.deps, { by: theSystem });
    expect(rotations.map(({ purpose, log }) => log ?? purpose).sort()).toEqual(
      [aLog, systemLog, "jwt_authority", "token"].sort(),
    );
    expect(await census()).toEqual({
      ...firstCensus,
      "token retired": 1,
      "jwt_authority retired": 1,
      "system retired": 1,
      "default retired": 1,
    });
  });

  it.each(["token", "log"] as const)(
    "[KEY-002] lets one of two concurrent rotations of a %s key through",
    async (purpose) => {
      await createFirstKeys(one);
      // Both have read the keys before either commits.
      const barrier = barrierFor(2);
      const rotations = await Promise.allSettled(
        [one, other].map(({ deps }) =>
          rotateKeys(
            { ...deps, append: async (...args) => barrier().then(() => deps.append(...args)) },
            { purpose, by: theSystem },
          ),
        ),
      );
      const refused = rotations.filter((rotation) => rotation.status === "rejected");
      expect(refused.length).toBeGreaterThan(0);
      for (const { reason } of refused) expect(reason).toMatchObject({ code: "conflict" });
      const counts = await census();
      expect(counts["token active"]).toBe(1);
      expect(counts["token next"]).toBe(1);
      expect(counts["default active"]).toBe(1);
      expect(counts[purpose === "token" ? "token retired" : "system retired"]).toBe(1);
      expect(await typesOf()).toContain("mutation.refused");
    },
  );

  it("[KEY-002] rotates once when many rotations meet in one process", async () => {
    await createFirstKeys(one);
    const barrier = barrierFor(5);
    const deps = {
      ...one.deps,
      append: async (...args: Parameters<typeof one.deps.append>) =>
        barrier().then(() => one.deps.append(...args)),
    };
    const rotations = await Promise.allSettled(
      Array.from({ length: 5 }, () => rotateKeys(deps, { purpose: "token", by: theSystem })),
    );
    expect(rotations.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await census()).toEqual({ ...firstCensus, "token retired": 1 });
    expect((await typesOf()).filter((type) => type === "mutation.refused")).toHaveLength(4);
  });

  it("[API-004] rotates nothing where what the request demands does not hold, and once where it is asked once", async () => {
    await createFirstKeys(one);
    const once = onceWrite(one.deps, {
      organization: parseOrganizationId("default") ?? expect.unreachable(),
      principal: "opr_01arz3ndektsv4rrffq69g5fav",
      key: "once",
      requestHash: "hash",
      keepsAnswer: true,
    });
    const rotate = (conditions: readonly Condition[]) => {
      const demands = { writes: [once], conditions };
      return rotateKeys(one.deps, { by: theSystem, context: { requestId: "r", demands } });
    };
    const gone = { on: "user", id: "usr_01arz3ndektsv4rrffq69g5fav", status: ["active"] } as const;
    await expect(rotate([gone])).rejects.toMatchObject({ code: "precondition_failed" });
    expect(await census()).toEqual(firstCensus);
    expect((await systemEntries(one)).at(-1)).toMatchObject({
      type: "mutation.refused",
      refusal: { code: "precondition_failed" },
    });
    const rotations = await rotate([]);
    const rotated = await census();
    expect(rotations).toHaveLength(4);
    await expect(rotate([])).rejects.toMatchObject({ code: "idempotency_key_in_use" });
    expect(await census()).toEqual(rotated);
  });

  it("rotates what signs JWTs when it is due, once for all replicas", async () => {
    await createFirstKeys(one);
    installation.clock.advance(keyLifetimeMs.token - 1);
    expect(await rotateIfDue(one.deps)).toEqual([]);
    installation.clock.advance(1);
    const rotated = await Promise.all([one, other].map(({ deps }) => rotateIfDue(deps)));
    expect(
      rotated
        .flat()
        .map(({ purpose }) => purpose)
        .sort(),
    ).toEqual(["jwt_authority", "token"]);
    expect(await census()).toEqual({ ...firstCensus, "token retired": 1, "jwt_authority retired": 1 });
    expect(await rotateIfDue(other.deps)).toEqual([]);
  });

  it("rotates the key of each log when it is due, once for all replicas, and the old one signs on beside it", async () => {
    await createFirstKeys(one);
    const before = one.ring.logSigners(aLog).length;
    installation.clock.advance(keyLifetimeMs.log - 1);
    await rotateIfDue(one.deps);
    expect(await census()).toMatchObject({ "system active": 1, "default active": 1 });
    installation.clock.advance(1);
    const rotated = (await Promise.all([one, other].map(({ deps }) => rotateIfDue(deps)))).flat();
    expect(rotated.map(({ log }) => log).sort()).toEqual([aLog, systemLog].sort());
    expect(await census()).toMatchObject({ "system retired": 1, "default retired": 1, "default active": 1 });
    expect(one.ring.logSigners(aLog)).toHaveLength(before + 1);
    expect(await rotateIfDue(other.deps)).toEqual([]);
  });

  it("[KEY-001] keeps rotating, and each key signs only after it was published as the next", async () => {
    await createFirstKeys(one);
    for (let i = 0; i < 4; i++) {
      const next = one.ring.tokenKeys().published[1]?.kid;
      installation.clock.advance(keyLifetimeMs.token);
      const rotated = await rotateIfDue(one.deps);
      expect(rotated.find(({ purpose }) => purpose === "token")?.activated).toBe(next);
      expect(one.ring.tokenKeys().active.kid).toBe(next);
    }
    expect(await census()).toEqual({ ...firstCensus, "token retired": 4, "jwt_authority retired": 4 });
  });

  it("rotates in whatever order the rows lie", async () => {
    await createFirstKeys(one);
    // Its new version lies behind the next key's row: the next key is activated before this one is retired.
    await one.db.prisma.$executeRaw`UPDATE signing_key SET created_at = created_at WHERE status = 'active'`;
    await rotateKeys(one.deps, { purpose: "token", by: theSystem });
    expect(await census()).toEqual({ ...firstCensus, "token retired": 1 });
  });

  it("says that there is nothing to rotate before the first keys are made", async () => {
    await expect(rotateKeys(one.deps, { by: theSystem })).rejects.toMatchObject({ code: "conflict" });
    expect(await rotateIfDue(one.deps)).toEqual([]);
  });

  it("[KEY-002] leaves all as it was when the rotation can't be recorded", async () => {
    await createFirstKeys(one);
    const before = one.ring.tokenKeys().active.kid;
    const append = async () => {
      throw new Error("the ledger is down");
    };
    await expect(rotateKeys({ ...one.deps, append }, { by: theSystem })).rejects.toThrow(
      "the ledger is down",
    );
    expect(await census()).toEqual(firstCensus);
    await one.ring.reload();
    expect(one.ring.tokenKeys().active.kid).toBe(before);
  });

  it.each(["active", "next"] as const)(
    "never has two %s keys for one purpose, whoever writes them",
    async (status) => {
      await createFirstKeys(one);
      const row = await newSigningKey(one.deps, { purpose: "token" }, status);
      const entry = { type: "key.created", actor: theSystem } as const;
      await expect(
        one.deps.append(systemLog, { entry, writes: [{ into: "signing_key", row }] }),
      ).rejects.toMatchObject({ code: "conflict" });
      expect(await census()).toEqual(firstCensus);
    },
  );
});
