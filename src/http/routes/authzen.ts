import {
  type EvaluationRequestWire,
  type EvaluationsRequestWire,
  type EvaluationWire,
  evaluateAccess,
  evaluateAccesses,
  evaluationRequestSchema,
  searchActions,
  searchResources,
  searchSubjects,
} from "@countersign/sdk/contract/authzen";
import { isPlainObject } from "@countersign/sdk/model/bounded-json";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Router } from "express";
import { type AttributeBeginning, type Attributes, flattenAttributes } from "../../domain/attributes.ts";
import { DomainError } from "../../domain/domain-error.ts";
import { errorTable } from "../../domain/error-table.ts";
import type { Obliged } from "../../domain/obligation.ts";
import type { AccessQuestion, Named } from "../../journeys/access/evaluate.ts";
import type { Evaluation } from "../../journeys/access/evaluation.ts";
import type { Search } from "../../journeys/access/search.ts";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount, readSent } from "../endpoint.ts";

/**
 * `/access/v1`: what policy says of others, to the resource servers that they come to.
 *
 * @see AuthZEN Authorization API 1.0
 */
export function mountAuthzen(router: Router, deps: EndpointDeps & AdminDeps): void {
  const { journeys } = deps;
  mount(router, deps, evaluateAccess, async ({ caller, body }) => {
    const [answer] = await journeys.evaluateAccesses({ caller, questions: [questionOf(body)] });
    return answerOf(answer);
  });
  mount(router, deps, evaluateAccesses, async ({ caller, body }) => {
    if (body.evaluations === undefined || body.evaluations.length === 0) {
      const question = questionOf(readSent(evaluationRequestSchema, body));
      return answerOf((await journeys.evaluateAccesses({ caller, questions: [question] }))[0]);
    }
    return { evaluations: await evaluateEach(deps, caller, body, body.evaluations) };
  });
  mountSearch(router, deps);
  router.get("/.well-known/authzen-configuration", (_request, response) => {
    response.json(metadataOf(deps.issuer));
  });
}

function mountSearch(router: Router, deps: EndpointDeps & AdminDeps): void {
  const found = async (caller: Principal, search: Search, page: SearchPage) => {
    const { limit = pageDefault, token = "" } = page ?? {};
    const asked = { limit, token: token === "" ? undefined : token };
    const { ids, next = "" } = await deps.journeys.searchAccess({ caller, search, page: asked });
    return { ids, page: { next_token: next, count: ids.length } };
  };
  mount(router, deps, searchSubjects, async ({ caller, body }) => {
    const { subject, action, resource } = body;
    const search = {
      for: "subject",
      type: subject.type,
      action: action.name,
      resource: named(resource),
    } as const;
    const { ids, page } = await found(caller, { ...search, attributes: attributesIn(body) }, body.page);
    return { results: ids.map((id) => ({ type: subject.type, id })), page };
  });
  mount(router, deps, searchResources, async ({ caller, body }) => {
    const { subject, action, resource } = body;
    const search = {
      for: "resource",
      type: resource.type,
      subject: named(subject),
      action: action.name,
    } as const;
    const { ids, page } = await found(caller, { ...search, attributes: attributesIn(body) }, body.page);
    return { results: ids.map((id) => ({ type: resource.type, id })), page };
  });
  mount(router, deps, searchActions, async ({ caller, body }) => {
    const { subject, resource, context } = body;
    const search = { for: "action", subject: named(subject), resource: named(resource) } as const;
    const attributes = attributesIn({ subject, resource, context });
    const { ids, page } = await found(caller, { ...search, attributes }, body.page);
    return { results: ids.map((name) => ({ name })), page };
  });
}

type SearchPage = { readonly limit?: number | undefined; readonly token?: string | undefined } | undefined;
const pageDefault = 200;

/** @see AuthZEN Authorization API 1.0, section 9 */
function metadataOf(issuer: string) {
  const at = ({ path }: { readonly path: string }) => `${issuer}${path}`;
  return {
    policy_decision_point: issuer,
    access_evaluation_endpoint: at(evaluateAccess),
    access_evaluations_endpoint: at(evaluateAccesses),
    search_subject_endpoint: at(searchSubjects),
    search_resource_endpoint: at(searchResources),
    search_action_endpoint: at(searchActions),
  };
}

const stopsAt = { execute_all: undefined, deny_on_first_deny: false, permit_on_first_permit: true } as const;

async function evaluateEach(
  { journeys }: AdminDeps,
  caller: Principal,
  defaults: EvaluationsRequestWire,
  items: readonly unknown[],
): Promise<EvaluationWire[]> {
  const questions = items.map((item) => questionOrFault(defaults, item));
  const until = stopsAt[defaults.options?.evaluations_semantic ?? "execute_all"];
  const answers = await journeys.evaluateAccesses({ caller, questions, until });
  return answers.map((answer) =>
    answer instanceof DomainError ? faultToWire(answer) : evaluationToWire(answer),
  );
}

function questionOrFault(defaults: EvaluationsRequestWire, item: unknown): AccessQuestion | DomainError {
  try {
    return questionOf(readSent(evaluationRequestSchema, withDefaults(defaults, item)));
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
}

/** Each entity of an item replaces the default whole, but for what names it where the item leaves that out. */
function withDefaults(defaults: EvaluationsRequestWire, item: unknown): unknown {
  if (!isPlainObject(item)) return item;
  const entity = (name: string, ...required: readonly string[]) => {
    const [own, other] = [item[name], defaults[name]];
    if (own === undefined || !isPlainObject(own) || !isPlainObject(other)) return own ?? other;
    const named = required.map((member) => [member, own[member] ?? other[member]]);
    return { ...own, ...Object.fromEntries(named) };
  };
  return {
    subject: entity("subject", "type", "id"),
    action: entity("action", "name"),
    resource: entity("resource", "type", "id"),
    context: entity("context"),
  };
}

function questionOf(sent: EvaluationRequestWire): AccessQuestion {
  const { subject, action, resource } = sent;
  return {
    subject: named(subject),
    action: action.name,
    resource: named(resource),
    attributes: attributesIn(sent),
  };
}

interface WithProperties {
  readonly properties?: object | undefined;
}

interface Sayings {
  readonly subject: WithProperties;
  readonly action?: WithProperties | undefined;
  readonly resource: WithProperties;
  readonly context?: object | undefined;
}

function named({ type, id }: Named): Named {
  return { type, id };
}

/** What an asker says of each thing. @throws DomainError `invalid_request` for more than is looked at */
function attributesIn(sent: Sayings): Attributes {
  const { subject, action, resource, context } = sent;
  return {
    ...attributesOf("subject", subject?.properties),
    ...attributesOf("action", action?.properties),
    ...attributesOf("resource", resource?.properties),
    ...attributesOf("context", context),
  };
}

function attributesOf(beginning: AttributeBeginning, properties: object = {}): Attributes {
  const attributes = flattenAttributes(beginning, properties);
  if (attributes === undefined)
    throw new DomainError("invalid_request", `${beginning}: it has more than 64 properties`);
  return attributes;
}

/** The answer to a question that was the only one. @throws DomainError for one that can't be answered */
function answerOf(answer: Evaluation | DomainError | undefined): EvaluationWire {
  if (answer === undefined) throw new RangeError("a question was not answered");
  if (answer instanceof DomainError) throw answer;
  return evaluationToWire(answer);
}

function evaluationToWire(evaluation: Evaluation): EvaluationWire {
  const { allowed, effect, rule, reason, policy, obligations, delegation } = evaluation;
  return {
    decision: allowed,
    context: {
      reason,
      rule,
      policy,
      ...(effect === "needs_approval" && { effect }),
      ...(obligations.length > 0 && { obligations: obligations.map(obligationToWire) }),
      delegation,
    },
  };
}

function obligationToWire(obliged: Obliged) {
  if (obliged.kind !== "rate") return obliged;
  const { kind, rule, times, perSeconds } = obliged;
  return { kind, rule, times, per_seconds: perSeconds };
}

function faultToWire({ code, publicDetail }: DomainError): EvaluationWire {
  return { decision: false, context: { error: { status: errorTable[code].status, message: publicDetail } } };
}
