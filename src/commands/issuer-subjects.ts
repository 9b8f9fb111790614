import type { Client } from "@countersign/sdk/client/client";
import { RefusedError } from "@countersign/sdk/client/client-error";
import {
  getTrustedIssuer,
  listSubjectMappings,
  mapSubject,
  mapSubjectRequestSchema,
  type SubjectMappingWire,
  unmapSubject,
} from "@countersign/sdk/contract/trusted-issuers";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import type { Command } from "commander";
import { z } from "zod";
import { confirmFirst } from "./ask-first.ts";
import { type Cli, table, UsageError } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand, optional, repeated, someText } from "./define.ts";
import { allItems, pageAnswer, pageGiven, pageOptions } from "./list.ts";
import { somePairs } from "./pair.ts";

/** `countersign issuer map|subjects|unmap`: whom the subjects of an issuer are. */
export function addIssuerSubjects(issuer: Command, cli: Cli): void {
  addMap(issuer, cli);
  defineCommand(issuer, cli, {
    usage: "subjects <id>",
    description: "what the subjects of an issuer are mapped to",
    example: "iss_01k9…",
    options: pageOptions(),
    given: z.object({ id: anId("iss_"), ...pageGiven(listSubjectMappings) }),
    run: async ({ id, limit, cursor }) => {
      const client = await operatorClient(cli);
      const page = await client.perform(listSubjectMappings, { params: { id }, query: { limit, cursor } });
      const trusted = await client.perform(getTrustedIssuer, { params: { id } });
      // A mapping of an issuer that is trusted no more lets nobody in.
      const stateOf = ({ status }: SubjectMappingWire) =>
        trusted.status === "active" ? status : `${status}, issuer ${trusted.status}`;
      return pageAnswer(page, (mapping) => [mapping.id, stateOf(mapping), whom(mapping), who(mapping)]);
    },
  });
  defineCommand(issuer, cli, {
    usage: "unmap <id> <mapping>",
    description:
      "end a mapping, at once, and with a rule what it let in; by another its subject may become a new agent",
    example: "iss_01k9… map_01k9…",
    options: [optional("--yes", "do not ask first, as is done at a terminal")],
    given: z.object({ id: anId("iss_"), mapping: anId("map_"), yes: z.boolean().default(false) }),
    run: async ({ id, mapping, yes }) => {
      const client = await operatorClient(cli);
      const instead = await confirmFirst(cli, `End mapping ${mapping}?`, yes);
      if (instead !== undefined) return instead;
      const ended = await client.perform(unmapSubject, { params: { id, mapping } });
      const { status, agents_cut_off: cutOff } = ended;
      const text = `mapping ${mapping} is ${status}${cutOff === undefined ? "" : `; agents that get in by it no more: ${cutOff}`}`;
      return { json: ended, text, recorded: ended.ledger };
    },
  });
}

type MapSubjectBody = z.output<typeof mapSubjectRequestSchema>;

const mapGiven = {
  subject: someText.optional(),
  claim: somePairs.optional(),
  agent: anId("agt_").optional(),
  user: anId("usr_").optional(),
  owner: anId("usr_").optional(),
  kind: z.enum(["manager", "worker", "tool"]).optional(),
  namePrefix: someText.optional(),
};

function addMap(issuer: Command, cli: Cli): void {
  defineCommand(issuer, cli, {
    usage: "map <id>",
    description:
      "say which agent or user a subject is, or make it a rule that each becomes an agent of its own",
    example: "iss_01k9… --owner usr_01k9…",
    options: [
      optional("--subject <sub>", "this subject alone"),
      repeated("--claim <name=value>", "those whose claim is this"),
      optional("--agent <agent>", "the agent that they are"),
      optional("--user <user>", "the user that the subject of an identity provider is"),
      optional("--owner <user>", "who owns the agents that are made of subjects never seen before"),
      optional("--kind <kind>", "manager, worker or tool: what kind they are; worker unless told"),
      optional("--name-prefix <text>", "what their names begin with, before the subject"),
    ],
    given: z.object({ id: anId("iss_"), ...mapGiven }),
    run: async ({ id, ...given }) => {
      const body = bodyOf(given);
      const client = await operatorClient(cli);
      const made = await client
        .perform(mapSubject, { params: { id }, body })
        .catch((error: unknown) => namingTheSame(client, error, id, body));
      return { json: made, text: table(rowsOf(made)), recorded: made.ledger };
    },
  });
}

/** @throws UsageError for words that do not go together, or that can't be taken */
function bodyOf(given: z.output<z.ZodObject<typeof mapGiven>>): MapSubjectBody {
  const { subject, claim: claims, agent, user, owner, kind, namePrefix: name_prefix } = given;
  if ([agent, user, owner].filter((party) => party !== undefined).length !== 1)
    throw new UsageError(
      "give --agent AGENT or --user USER, whom they are, or --owner USER, whose agents they become",
    );
  if (owner === undefined && (kind ?? name_prefix) !== undefined)
    throw new UsageError("--kind and --name-prefix go with --owner");
  if (owner !== undefined && subject !== undefined)
    throw new UsageError("--owner makes an agent of each subject: --subject goes with --agent");
  if (user !== undefined && (subject === undefined || claims !== undefined))
    throw new UsageError("--user is one person: --subject goes with it, and nothing else");
  const of = owner === undefined ? { subject } : { provision: { owner, kind, name_prefix } };
  const to = { ...(agent && { agent }), ...(user && { user }) };
  const body = mapSubjectRequestSchema.safeParse({ claims, ...to, ...of });
  if (body.success) return body.data;
  throw new UsageError("--subject, --claim or --name-prefix is too long, or holds what can't be printed");
}

/** A conflict, with the mapping that stands already. */
async function namingTheSame(
  client: Client,
  error: unknown,
  id: string,
  asked: MapSubjectBody,
): Promise<never> {
  if (!(error instanceof RefusedError && error.code === "conflict")) throw error;
  const standing = await allItems((query) => client.perform(listSubjectMappings, { params: { id }, query }));
  const wanted = canonicalJson(["subject" in asked ? (asked.subject ?? null) : null, asked.claims]);
  const same = standing.find(
    ({ status, subject, claims }) =>
      status === "active" && canonicalJson([subject ?? null, claims]) === wanted,
  );
  throw same === undefined
    ? error
    : new RefusedError(error.status, error.code, `${error.message}: it is ${same.id}`);
}

function rowsOf(mapping: SubjectMappingWire): [string, string][] {
  return [
    ["mapping", mapping.id],
    ["issuer", mapping.issuer],
    ["who", whom(mapping)],
    ["becomes", who(mapping)],
  ];
}

/** Whom it is for. */
function whom({ subject, claims }: SubjectMappingWire): string {
  const pairs = Object.entries(claims).map(([name, value]) => `${name}=${value}`);
  const all = subject === undefined ? pairs : [subject, ...pairs];
  return all.join(" ") || "everybody";
}

/** What they are. */
function who({ agent, user, provision }: SubjectMappingWire): string {
  return agent ?? user ?? `an agent each, of ${provision?.owner}`;
}
