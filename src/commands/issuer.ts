import {
  createTrustedIssuer,
  createTrustedIssuerRequestSchema,
  deleteTrustedIssuer,
  getTrustedIssuer,
  listTrustedIssuers,
  type TrustedIssuerWire,
} from "@countersign/sdk/contract/trusted-issuers";
import type { Command } from "commander";
import { z } from "zod";
import { confirmFirst } from "./ask-first.ts";
import { type Cli, table, UsageError } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand, optional, repeated, required, someText } from "./define.ts";
import { durationSchema } from "./duration.ts";
import { addIssuerSubjects } from "./issuer-subjects.ts";
import { pageAnswer, pageGiven, pageOptions } from "./list.ts";
import { aPair } from "./pair.ts";
import { readJson } from "./read-json.ts";

/** `countersign issuer …` */
export function addIssuerCommands(program: Command, cli: Cli): void {
  const issuer = program
    .command("issuer")
    .description(
      "issuers of others, such as a CI system's, that may say which workload asks, or for whom an agent does",
    );
  addCreate(issuer, cli);
  addRegistry(issuer, cli);
  addDelete(issuer, cli);
  addIssuerSubjects(issuer, cli);
}

function addCreate(issuer: Command, cli: Cli): void {
  defineCommand(issuer, cli, {
    usage: "create",
    description:
      "let an issuer say which of its workloads asks, or for whom; who that is, `issuer map` tells",
    example: "--issuer https://token.actions.githubusercontent.com --tenant repository_owner_id=1234",
    options: createOptions(),
    given: z.object({
      issuer: someText,
      kind: z.enum(["workload", "id_jag"]).optional(),
      tenant: aPair.optional(),
      audience: someText.optional(),
      jwks: someText.optional(),
      algorithm: z.array(someText).optional(),
      maxAge: durationSchema.optional(),
      maxAgents: z.coerce.number().int().nonnegative().optional(),
      checksumClaim: z.array(someText).optional(),
    }),
    run: async ({ issuer, kind, audience, tenant, jwks, algorithm, maxAge, maxAgents, checksumClaim }) => {
      const body = createTrustedIssuerRequestSchema.safeParse({
        issuer,
        kind,
        audience,
        max_agents: maxAgents,
        checksum_claims: checksumClaim,
        ...(tenant && { tenant_claim: { name: tenant[0], value: tenant[1] } }),
        ...(jwks !== undefined && { jwks: await readJson(jwks) }),
        ...(algorithm && { algorithms: algorithm }),
        ...(maxAge !== undefined && { max_age_seconds: maxAge }),
      });
      if (!body.success) throw new UsageError(`${optionOf(body.error)} is not one that can be taken`);
      const client = await operatorClient(cli);
      const made = await client.perform(createTrustedIssuer, { body: body.data });
      return { json: made, text: table(rowsOf(made)), recorded: made.ledger };
    },
  });
}

function createOptions() {
  return [
    required("--issuer <url>", "the issuer, as its tokens spell it"),
    optional("--kind <kind>", "workload, or id_jag: an identity provider, whose assertions are of people"),
    optional("--tenant <claim=value>", "the claim by which a token of an issuer that serves many is yours"),
    optional(
      "--audience <audience>",
      "what its tokens must be meant for, with /org/<organization> in it; the server's issuer and that",
    ),
    optional("--jwks <file>", "take its keys from this JWK set instead of asking it for them"),
    repeated("--algorithm <alg>", "what its tokens may be signed by; RS256 and ES256 unless told"),
    optional("--max-age <duration>", "how old a token may be, at most 1h; 10m unless told"),
    optional("--max-agents <count>", "how many agents it may make, but for retired ones; 1000 unless told"),
    repeated(
      "--checksum-claim <claim>",
      "what says of which configuration an agent is: its checksum; or, given thrice, model, prompt and tools",
    ),
  ];
}

const optionNames: Readonly<Record<string, string>> = {
  tenant_claim: "--tenant",
  algorithms: "--algorithm",
  max_age_seconds: "--max-age",
  max_agents: "--max-agents",
  checksum_claims: "--checksum-claim",
};

function optionOf({ issues }: z.ZodError): string {
  const name = String(issues[0]?.path[0] ?? "");
  return optionNames[name] ?? `--${name}`;
}

function rowsOf(shown: TrustedIssuerWire): [string, string][] {
  const { id, issuer, kind, audience, tenant_claim, pinned, max_age_seconds, algorithms, status } = shown;
  return [
    ["issuer", id],
    ["url", issuer],
    ["kind", kind],
    ["tenant", tenant_claim === undefined ? "any" : `${tenant_claim.name}=${tenant_claim.value}`],
    ["audience", audience],
    ["keys", pinned ? "pinned" : "as it publishes them"],
    ["algorithms", algorithms.join(" ")],
    ["max age", `${max_age_seconds}s`],
    ["agents", `at most ${shown.max_agents}`],
    ["checksum", shown.checksum_claims.join(" ") || "none"],
    ["status", status],
  ];
}

function addRegistry(issuer: Command, cli: Cli): void {
  defineCommand(issuer, cli, {
    usage: "list",
    description: "which issuers are trusted, or were",
    example: "--limit 200",
    options: pageOptions(),
    given: z.object(pageGiven(listTrustedIssuers)),
    run: async ({ limit, cursor }) => {
      const client = await operatorClient(cli);
      const page = await client.perform(listTrustedIssuers, { query: { limit, cursor } });
      return pageAnswer(page, ({ id, status, kind, pinned, issuer, tenant_claim: tenant }) => [
        id,
        status,
        kind,
        pinned ? "pinned" : "published",
        issuer,
        tenant && `${tenant.name}=${tenant.value}`,
      ]);
    },
  });
  defineCommand(issuer, cli, {
    usage: "show <id>",
    description: "show one issuer",
    example: "iss_01k9…",
    given: z.object({ id: anId("iss_") }),
    run: async ({ id }) => {
      const client = await operatorClient(cli);
      const shown = await client.perform(getTrustedIssuer, { params: { id } });
      return { json: shown, text: table([...rowsOf(shown), ["created", shown.created_at]]) };
    },
  });
}

function addDelete(issuer: Command, cli: Cli): void {
  defineCommand(issuer, cli, {
    usage: "delete <id>",
    description: "trust an issuer no more, at once and for good; its agents stay, and get in by it no longer",
    example: "iss_01k9…",
    options: [optional("--yes", "do not ask first, as is done at a terminal")],
    given: z.object({ id: anId("iss_"), yes: z.boolean().default(false) }),
    run: async ({ id, yes }) => {
      const client = await operatorClient(cli);
      const instead = await confirmFirst(cli, `Trust issuer ${id} no more?`, yes);
      if (instead !== undefined) return instead;
      const ended = await client.perform(deleteTrustedIssuer, { params: { id } });
      return { json: ended, text: `issuer ${id} is ${ended.status}`, recorded: ended.ledger };
    },
  });
}
