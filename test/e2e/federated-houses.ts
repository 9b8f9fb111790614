import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import type { Client } from "@countersign/sdk/client/client";
import { createAgent } from "@countersign/sdk/contract/agents";
import { createEntry } from "@countersign/sdk/contract/entries";
import { addFederation, refreshFederation } from "@countersign/sdk/contract/federation";
import type { TrustBundleDocument } from "@countersign/sdk/contract/trust-bundle";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import type { JWTSVIDResponse, ValidateJWTSVIDResponse } from "../../src/workload-api/generated/workload.ts";
import { castPlayers } from "../chaos/cast.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { freePort, type Installation, makeInstallation, type ServerProcess } from "../server.ts";
import { ask, read, security, self, workloadClient } from "../workload-api/socket.ts";

/** One trust domain: its server, with a workload of its own machine that federates with the other. */
export interface House {
  readonly trustDomain: TrustDomain;
  readonly bundleUrl: string;
  readonly installation: Installation;
  readonly server: ServerProcess;
  readonly operator: Client;
  readonly spiffeId: string;
  readonly workload: ReturnType<typeof workloadClient>;
}

/** Two trust domains that federate with each other by https_spiffe. They end when `atEnd` says so. */
export async function openHouses(atEnd: (remove: () => Promise<void>) => void): Promise<[House, House]> {
  const houses = await Promise.all([
    open("one.example", "other.example", atEnd),
    open("other.example", "one.example", atEnd),
  ]);
  await federate(houses[0], houses[1]);
  await federate(houses[1], houses[0]);
  return houses;
}

async function open(
  trustDomain: string,
  federatesWith: string,
  atEnd: (remove: () => Promise<void>) => void,
): Promise<House> {
  const bundlePort = await freePort();
  const settings = { COUNTERSIGN_TRUST_DOMAIN: trustDomain, COUNTERSIGN_BUNDLE_PORT: String(bundlePort) };
  const installation = await makeInstallation(settings, atEnd, ["--attest-own-uid"]);
  const server = await installation.startServer();
  const { operator, alice } = await castPlayers(installation, server);
  const agent = await operator.perform(createAgent, { body: { owner: alice, name: "one", kind: "worker" } });
  const entry = { agent: agent.id, selectors: [self], federates_with: [federatesWith] };
  await operator.perform(createEntry, { body: entry });
  const workload = workloadClient(join(installation.dataDir, "workload.sock"));
  atEnd(async () => workload.close());
  return {
    trustDomain: trustDomain as TrustDomain,
    bundleUrl: `https://127.0.0.1:${bundlePort}/`,
    installation,
    server,
    operator,
    spiffeId: agent.spiffe_id,
    workload,
  };
}

export async function published({ server }: House): Promise<TrustBundleDocument> {
  return (await (await fetch(`${server.url}/spiffe/bundle`)).json()) as TrustBundleDocument;
}

export const serverId = ({ trustDomain }: House) => `spiffe://${trustDomain}/countersign/server`;
export const named = (trust_domain: string) => ({ params: { trust_domain: trust_domain as TrustDomain } });
export const refresh = ({ operator }: House, { trustDomain }: Pick<House, "trustDomain">) =>
  operator.perform(refreshFederation, named(trustDomain));

export async function federate(here: House, there: House, changed: object = {}) {
  const body = {
    trust_domain: there.trustDomain,
    endpoint_url: there.bundleUrl,
    profile: "https_spiffe",
    endpoint_spiffe_id: serverId(there),
    bundle: await published(there),
    allow_private: true,
    ...changed,
  } as const;
  return here.operator.perform(addFederation, { body });
}

export const fetchJwt = ({ workload }: House, audience: string) =>
  ask<JWTSVIDResponse>((respond) =>
    workload.fetchJwtsvid({ audience: [audience], spiffeId: "" }, security, respond),
  ).then(({ svids }) => svids[0]?.svid ?? "");
export const validate = ({ workload }: House, svid: string, audience: string) =>
  ask<ValidateJWTSVIDResponse>((respond) => workload.validateJwtsvid({ audience, svid }, security, respond));

/** What a workload verifies its peers by, as its socket told last. */
export async function bundlesAt(house: House): Promise<Record<string, Buffer>> {
  const stream = read(house.workload.fetchX509Svid({}, security));
  const { svids, federatedBundles } = await stream.next();
  stream.cancel();
  return { ...federatedBundles, [`spiffe://${house.trustDomain}`]: Buffer.from(svids[0]?.bundle ?? []) };
}

export async function chainOf(house: House): Promise<readonly Uint8Array[]> {
  const stream = read(house.workload.fetchX509Svid({}, security));
  const { svids } = await stream.next();
  stream.cancel();
  return certificatesIn(svids[0]?.x509Svid ?? new Uint8Array());
}

/** DER certificates, one after another. */
export function certificatesIn(octets: Uint8Array): Uint8Array[] {
  const certificates: Uint8Array[] = [];
  for (let rest = Buffer.from(octets); rest.length > 0; rest = rest.subarray(certificates.at(-1)?.length)) {
    certificates.push(new X509Certificate(rest).raw);
  }
  return certificates;
}

/** Verifies a peer as a stock client does: by what the socket gives for the peer's own trust domain. */
export async function verifyPeer(at: House, chain: readonly Uint8Array[]): Promise<string> {
  const bundles = await bundlesAt(at);
  const bundleOf = (trustDomain: TrustDomain): TrustBundle | undefined => {
    const octets = bundles[`spiffe://${trustDomain}`];
    return octets && { trustDomain, x509Authorities: certificatesIn(octets), jwtAuthorities: [] };
  };
  return (await verifyX509Svid({ bundleOf, now: Date.now }, chain)).spiffeId;
}

export async function systemEntries({ installation }: House): Promise<Record<string, unknown>[]> {
  const rows = await sqlOf(
    installation.dataDir,
    "SELECT entry FROM ledger_entry WHERE log_id = 'system' ORDER BY index",
  );
  return rows.map(({ entry }) => JSON.parse(String(entry)));
}
