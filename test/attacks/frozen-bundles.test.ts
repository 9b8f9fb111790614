import { newId, systemLog } from "@countersign/sdk/model/ids";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { formatTrustBundle } from "@countersign/sdk/verify/trust-bundle";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { watchFederation } from "../../src/app/watch-federation.ts";
import { type FederatedTrustDomain, isSequenceInReach } from "../../src/domain/federation.ts";
import { type FederationDeps, refreshFederation } from "../../src/journeys/federation/refresh.ts";
import { federationFindings } from "../../src/journeys/health/federation-findings.ts";
import { findFederation } from "../../src/store/federation.ts";
import { BundleFetchError } from "../../src/svid/federation/bundle-fetch-error.ts";
import { readBundleDocument } from "../../src/svid/federation/read-bundle.ts";
import { aDayMs, type Installation, openInstallation, type Replica } from "../keys/key-fixture.ts";
import { bundleOf, makeAuthority } from "../svid/pki.ts";

const trustDomain = "partner.example" as TrustDomain;
const by = { kind: "system", id: "federation" } as const;
const anHourMs = 3_600_000;

let installation: Installation;
let replica: Replica;
/** What its endpoint answers: undefined where whoever is on the way lets nobody through. */
let published: object | undefined;
beforeEach(async () => {
  installation = await openInstallation();
  replica = await installation.openReplica();
});
afterEach(() => installation.close());

/** Federates with the partner for as long as that, before anything was fetched. */
async function federate(trustedForSeconds: number): Promise<void> {
  const { clock } = installation;
  const at = new Date(clock.now());
  const row = {
    id: newId("federation", clock.now(), replica.deps.randomBytes(16)),
    trust_domain: trustDomain,
    endpoint_url: "https://partner.example/",
    profile: "https_web",
    endpoint_spiffe_id: null,
    ca: null,
    private_allowed: false,
    trusted_for_seconds: trustedForSeconds,
    status: "active",
    created_at: at,
    due_at: at,
  } as const;
  await replica.deps.append(systemLog, {
    entry: { type: "federation.added", actor: by, detail: { federation: row.id } },
    writes: [{ into: "federated_trust_domain", row }],
  });
}

const standing = async (): Promise<FederatedTrustDomain> =>
  (await findFederation(replica.db, trustDomain)) ?? expect.unreachable();

/** What becomes of asking its endpoint: why it failed, or undefined. */
async function refreshed(): Promise<string | undefined> {
  const deps: FederationDeps = {
    ...replica.deps,
    now: installation.clock.now,
    recordRefusal: () => expect.unreachable(),
    invalidate: () => undefined,
    fetchBundle: async () => {
      if (published === undefined) throw new BundleFetchError("it can't be reached");
      return readBundleDocument(trustDomain, published);
    },
  };
  await refreshFederation(deps, { federation: await standing(), by, context: {} });
  return (await standing()).failed?.reason;
}

function bundle(sequence: number | undefined, options: { readonly jwtOnly?: boolean } = {}): object {
  const untilMs = installation.clock.now() + 3650 * aDayMs;
  const root = makeAuthority(trustDomain, { nowMs: installation.clock.now(), untilMs });
  return {
    ...formatTrustBundle(bundleOf(trustDomain, options.jwtOnly ? [] : [root])),
    ...(sequence !== undefined && { spiffe_sequence: sequence }),
  };
}

async function watch() {
  const watched = await watchFederation({
    db: replica.db,
    now: installation.clock.now,
    onReloadFailed: () => undefined,
  });
  return { ...watched, count: () => watched.bundlesOf([trustDomain]).length };
}

const findings = async () => federationFindings(replica.db, installation.clock.now());

describe("[FED-040] a foreign bundle that can't be fetched again", () => {
  it.each([{ jwtOnly: false }, { jwtOnly: true }])(
    "is believed for a day, and no more: %j",
    async (options) => {
      await federate(86_400);
      published = bundle(1, options);
      expect(await refreshed()).toBeUndefined();
      const watched = await watch();
      try {
        published = undefined;
        installation.clock.advance(23 * anHourMs);
        expect(await refreshed()).toContain("can't be reached");
        expect(watched.count()).toBe(1);
        expect(await findings()).toMatchObject([
          { state: "warning", detail: expect.stringContaining("holds until 2026-11-24T00:00:00.000Z") },
        ]);
        const told = new Promise<void>((resolve) => watched.onChange(resolve));
        installation.clock.advance(anHourMs + 1);
        expect(watched.count()).toBe(0);
        // Whoever has it is told, though nothing in the database changed.
        await told;
        expect(await findings()).toMatchObject([
          { state: "failed", detail: expect.stringContaining("believed no more since 2026-11-24") },
        ]);
      } finally {
        await watched.close();
      }
    },
  );

  it("is believed again from the moment on that it is fetched, though it is the same", async () => {
    await federate(3600);
    published = bundle(1);
    await refreshed();
    const watched = await watch();
    try {
      installation.clock.advance(anHourMs + 1);
      expect(watched.count()).toBe(0);
      expect(await refreshed()).toBeUndefined();
      await expect.poll(watched.count, { timeout: 10_000 }).toBe(1);
      expect(await findings()).toEqual([]);
    } finally {
      await watched.close();
    }
  });
});

describe("[FED-041] a publisher whose place somebody had for a moment", () => {
  it("is believed again, for no sequence was taken that its own never reaches", async () => {
    await federate(86_400);
    published = bundle(57);
    await refreshed();
    for (const poison of [Number.MAX_SAFE_INTEGER, installation.clock.now(), 57 + 17]) {
      published = bundle(poison);
      expect(await refreshed()).toContain("further ahead");
    }
    published = bundle(58);
    expect(await refreshed()).toBeUndefined();
    expect((await standing()).bundle?.sequence).toBe(58);
  });

  it("is believed again where it gives none at all", async () => {
    await federate(86_400);
    published = bundle(undefined);
    await refreshed();
    const tomorrow = installation.clock.now() + aDayMs;
    for (const poison of [Number.MAX_SAFE_INTEGER, tomorrow, tomorrow / 1000, 17]) {
      published = bundle(poison);
      expect(await refreshed()).toContain("further ahead");
    }
    published = bundle(undefined);
    expect(await refreshed()).toBeUndefined();
  });

  it("is believed once an operator says so, by the way that the refusal names", async () => {
    await federate(86_400);
    published = bundle(undefined);
    await refreshed();
    published = bundle(1);
    expect(await refreshed()).toBeUndefined();
    published = bundle(undefined);
    const told = expect.stringContaining(
      "older than the one that is known, of sequence 1: if that is right, remove",
    );
    expect(await refreshed()).toEqual(told);
    expect(await findings()).toMatchObject([{ state: "warning", detail: told }]);
  });

  const nowMs = Date.UTC(2026, 10, 23);
  it.each([
    ["counts its changes", 57, 57 + 16],
    ["has begun to count them", undefined, 16],
    ["gives the time in seconds", 1_700_000_000, nowMs / 1000],
    ["gives the time in milliseconds", 1_700_000_000_000, nowMs],
  ])("and %s goes on, by a few changes or up to now", (_, known, most) => {
    expect(isSequenceInReach(most, known, nowMs)).toBe(true);
    expect(isSequenceInReach(most + 1, known, nowMs)).toBe(false);
  });

  it("and gives a time of before or after ours goes on with the same one", () => {
    expect(isSequenceInReach(nowMs + 1, nowMs + 1, nowMs)).toBe(true);
    expect(isSequenceInReach(nowMs, undefined, nowMs)).toBe(true);
    expect(isSequenceInReach(nowMs / 1000, undefined, nowMs)).toBe(true);
  });
});
