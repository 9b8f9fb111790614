import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keepAuthorities } from "../../src/journeys/keys/authorities.ts";
import { type ListedKey, listKeys } from "../../src/journeys/keys/list.ts";
import { rotateIfDue } from "../../src/journeys/keys/rotate.ts";
import { taintAuthority, withdrawAuthority } from "../../src/journeys/keys/taint.ts";
import { context } from "../journeys/server-process.ts";
import {
  aLog,
  createFirstKeys,
  type Installation,
  openInstallation,
  type Replica,
  theSystem,
} from "./key-fixture.ts";

describe("a key that is listed tells", () => {
  let installation: Installation;
  let replica: Replica;
  beforeEach(async () => {
    installation = await openInstallation();
    replica = await installation.openReplica();
    await createFirstKeys(replica);
  });
  afterEach(() => installation.close());

  const find = async (wanted: Partial<ListedKey>) =>
    (await listKeys(replica.deps)).find((key) =>
      Object.entries(wanted).every(([name, value]) => key[name as keyof ListedKey] === value),
    ) ?? expect.unreachable();
  const timeTo = (time: Date | undefined) =>
    (time?.getTime() ?? expect.unreachable()) - installation.clock.now();

  it.each(["token", "jwt_authority"] as const)(
    "until when it signs and is published, of %s",
    async (purpose) => {
      const published = () =>
        (purpose === "token" ? replica.ring.tokenKeys() : replica.ring.jwtAuthorities()).published;
      const { id, signsUntil, publishedUntil } = await find({ purpose, status: "active" });
      expect(publishedUntil).toBeUndefined();
      installation.clock.advance(timeTo(signsUntil) - 1);
      expect(await rotateIfDue(replica.deps)).toEqual([]);
      installation.clock.advance(1);
      await rotateIfDue(replica.deps);
      const retired = await find({ id });
      expect(retired).toMatchObject({ status: "retired" });
      expect(retired).not.toHaveProperty("signsUntil");
      installation.clock.advance(timeTo(retired.publishedUntil) - 1);
      await replica.ring.reload();
      expect(published().map(({ kid }) => kid)).toContain(id);
      installation.clock.advance(1);
      await replica.ring.reload();
      expect(published().map(({ kid }) => kid)).not.toContain(id);
    },
  );

  it("until when it signs, alone and beside its successor, of a log", async () => {
    const { id, signsUntil } = await find({ logId: aLog, status: "active" });
    installation.clock.advance(timeTo(signsUntil));
    await rotateIfDue(replica.deps);
    const retired = await find({ id, logId: aLog });
    installation.clock.advance(timeTo(retired.signsUntil) - 1);
    await replica.ring.reload();
    expect(replica.ring.logSigners(aLog)).toHaveLength(2);
    installation.clock.advance(1);
    await replica.ring.reload();
    expect(replica.ring.logSigners(aLog)).toHaveLength(1);
    expect(retired).not.toHaveProperty("publishedUntil");
  });

  it("until when it signs and is published, of an X.509 authority", async () => {
    const keep = () => keepAuthorities(replica.deps, theSystem);
    await keep();
    const first = await find({ purpose: "x509_authority", status: "active" });
    expect(first.publishedUntil).toEqual(first.notAfter);
    // Its successor is made at half of its life.
    installation.clock.advance(timeTo(first.notAfter) / 2);
    await keep();
    installation.clock.advance(timeTo(first.signsUntil) - 1);
    expect(await keep()).toEqual([]);
    installation.clock.advance(1);
    expect(await keep()).toMatchObject([{ retired: first.id }]);
    const retired = await find({ id: first.id });
    expect(retired).toMatchObject({ status: "retired", publishedUntil: first.notAfter });
    expect(retired).not.toHaveProperty("signsUntil");
  });

  it("nothing of that once it is withdrawn, and no end while it is only tainted", async () => {
    const { id } = await find({ purpose: "jwt_authority", status: "active" });
    const request = { id, by: theSystem, context };
    const times = async () => {
      const { signsUntil, publishedUntil } = await find({ id });
      return { signsUntil, publishedUntil };
    };
    await taintAuthority(replica.deps, request);
    expect(await times()).toEqual({});
    await withdrawAuthority(replica.deps, request);
    expect(await times()).toEqual({});
  });
});
