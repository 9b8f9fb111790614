import { readFile } from "node:fs/promises";
import {
  addFederation,
  type federationSchema,
  getFederation,
  listFederations,
  refreshFederation,
  removeFederation,
} from "@countersign/sdk/contract/federation";
import { trustBundleSchema } from "@countersign/sdk/contract/trust-bundle";
import { parseTrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { Command } from "commander";
import { z } from "zod";
import { type Answer, type Cli, table, UsageError } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { defineCommand, optional, required, someText } from "./define.ts";
import { durationSchema } from "./duration.ts";
import { pageAnswer, pageGiven, pageOptions } from "./list.ts";
import { readJson } from "./read-json.ts";

type Federation = z.output<typeof federationSchema>;

const aTrustDomain = someText.refine(
  (text) => parseTrustDomain(text) !== undefined,
  "must be a trust domain such as example.org",
);
const named = z.object({ trustDomain: aTrustDomain });

/** `countersign federation …` */
export function addFederationCommands(program: Command, cli: Cli): void {
  const federation = program
    .command("federation")
    .description("foreign trust domains: whose SVIDs workloads may verify");
  addAdd(federation, cli);
  defineCommand(federation, cli, {
    usage: "list",
    description: "which foreign trust domains there are, and how fetching their bundles goes",
    example: "",
    options: pageOptions(),
    given: z.object(pageGiven(listFederations)),
    run: async ({ limit, cursor }) => {
      const client = await operatorClient(cli);
      const page = await client.perform(listFederations, { query: { limit, cursor } });
      return pageAnswer(page, (one) => [one.trust_domain, one.profile, one.endpoint_url, stateOf(one)]);
    },
  });
  defineCommand(federation, cli, {
    usage: "show <trustDomain>",
    description: "show one foreign trust domain",
    example: "partner.example",
    given: named,
    run: async ({ trustDomain }) => {
      const client = await operatorClient(cli);
      const shown = await client.perform(getFederation, { params: { trust_domain: trustDomain } });
      return { json: shown, text: table(rowsOf(shown)) };
    },
  });
  addRefreshAndRemove(federation, cli);
}

function addRefreshAndRemove(federation: Command, cli: Cli): void {
  defineCommand(federation, cli, {
    usage: "refresh <trustDomain>",
    description: "fetch its bundle now",
    example: "partner.example",
    given: named,
    run: async ({ trustDomain }) => {
      const client = await operatorClient(cli);
      return fetchedAnswer(
        await client.perform(refreshFederation, { params: { trust_domain: trustDomain } }),
      );
    },
  });
  defineCommand(federation, cli, {
    usage: "remove <trustDomain>",
    description: "end it: no workload is given its bundle any more",
    example: "partner.example",
    given: named,
    run: async ({ trustDomain }) => {
      const client = await operatorClient(cli);
      const params = { trust_domain: trustDomain };
      const { ledger, ...ended } = await client.perform(removeFederation, { params });
      const text = `${trustDomain} is federated with no more`;
      return { json: { ...ended, ledger }, text, recorded: ledger };
    },
  });
}

function addAdd(federation: Command, cli: Cli): void {
  defineCommand(federation, cli, {
    usage: "add",
    description: "federate with a foreign trust domain: fetch its bundle, now and from now on",
    example:
      "--trust-domain partner.example --url https://spiffe.partner.example --profile https_spiffe \\\n" +
      "      --endpoint-id spiffe://partner.example/countersign/server --bundle partner.json",
    options: [
      required("--trust-domain <domain>", "the foreign trust domain"),
      required("--url <url>", "where its bundle is fetched"),
      required("--profile <profile>", "https_web, by a certificate of the web, or https_spiffe, by an SVID"),
      optional("--endpoint-id <id>", "https_spiffe: the SPIFFE ID of the endpoint's server"),
      optional("--bundle <file>", "https_spiffe: its bundle, which you have from elsewhere, as JSON"),
      optional("--ca <file>", "https_web: PEM of the authorities to trust in place of the public ones"),
      optional(
        "--trusted-for <duration>",
        "how long its bundle is believed when it can't be fetched",
      ).default("24h"),
      optional("--allow-private", "the endpoint may be at an address that is not public"),
    ],
    given: z.object({
      trustDomain: aTrustDomain,
      url: someText,
      profile: z.enum(["https_web", "https_spiffe"]),
      endpointId: someText.optional(),
      bundle: someText.optional(),
      ca: someText.optional(),
      trustedFor: durationSchema,
      allowPrivate: z.boolean().optional(),
    }),
    run: async (given) => {
      const body = {
        trust_domain: given.trustDomain,
        endpoint_url: given.url,
        profile: given.profile,
        endpoint_spiffe_id: given.endpointId,
        bundle: given.bundle === undefined ? undefined : await readBundleFile(given.bundle),
        ca: given.ca === undefined ? undefined : await readPem(given.ca),
        allow_private: given.allowPrivate,
        trusted_for: given.trustedFor,
      };
      const client = await operatorClient(cli);
      const added = await client.perform(addFederation, { body });
      if (added.failure !== undefined) cli.note(notFetched(given.trustDomain, added.failure));
      return { json: added, text: table(rowsOf(added)), recorded: added.ledger };
    },
  });
}

function notFetched(trustDomain: string, failure: string): string {
  return `note: its bundle could not be fetched yet: ${failure}; it is tried again, and to correct something, \`countersign federation remove ${trustDomain}\` and add it again`;
}

async function readBundleFile(path: string) {
  const read = trustBundleSchema.safeParse(await readJson(path));
  if (!read.success) throw new UsageError(`${path} is no trust bundle`);
  return read.data;
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new UsageError(`${path} can't be read`, { cause: error });
  }
}

function fetchedAnswer(fetched: z.output<typeof refreshFederation.answer>): Answer {
  const { ledger } = fetched;
  return {
    json: fetched,
    text: table(rowsOf(fetched)),
    refused: fetched.failure !== undefined,
    ...(ledger && { recorded: ledger }),
  };
}

function stateOf({ failure, fetched_at: fetchedAt }: Federation): string {
  return failure === undefined ? `fetched ${fetchedAt ?? "never"}` : `failed: ${failure}`;
}

function rowsOf(one: Federation): [string, string][] {
  const { bundle } = one;
  const optionally: [string, string | undefined][] = [
    ["endpoint's ID", one.endpoint_spiffe_id],
    [
      "bundle",
      bundle &&
        `${bundle.x509_authorities} X.509 and ${bundle.jwt_authorities} JWT authorities, sequence ${bundle.sequence ?? "unknown"}`,
    ],
    ["holds until", bundle?.ends_at],
    ["fetched", one.fetched_at],
    ["failed", one.failure && `${one.failed_at}: ${one.failure}`],
  ];
  return [
    ["trust domain", one.trust_domain],
    ["endpoint", one.endpoint_url],
    ["profile", one.profile],
    ["status", one.status],
    ...optionally.flatMap(([name, value]): [string, string][] => (value ? [[name, value]] : [])),
  ];
}
