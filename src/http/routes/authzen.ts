import {
  type EvaluationRequestWire,
  type EvaluationsRequestWire,
  type EvaluationWire,
  evaluateAccess,
  evaluateAccesses,
  evaluationRequestSchema,
} from "@countersign/sdk/contract/authzen";
import { isPlainObject } from "@countersign/sdk/model/bounded-json";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Router } from "express";
import { type AttributeBeginning, type Attributes, flattenAttributes } from "../../domain/attributes.ts";
import { DomainError } from "../../domain/domain-error.ts";
import { errorTable } from "../../domain/error-table.ts";
import type { Obliged } from "../../domain/obligation.ts";
import type { AccessQuestion, Evaluation } from "../../journeys/access/evaluate.ts";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount, readSent } from "../endpoint.ts";
import { echoRequestId } from "../request-id.ts";

/**
 * `/access/v1`: what policy says of others, to the resource servers that they come to.
 *
 * @see AuthZEN Authorization API 1.0
 */
export function mountAuthzen(router: Router, deps: EndpointDeps & AdminDeps): void {
  const { journeys } = deps;
  router.use("/access/v1", echoRequestId);
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

/** @throws DomainError `invalid_request` for more attributes than are looked at */
function questionOf({ subject, action, resource, context = {} }: EvaluationRequestWire): AccessQuestion {
  return {
    subject,
    action: action.name,
    resource,
    attributes: {
      ...attributesOf("subject", subject.properties),
      ...attributesOf("action", action.properties),
      ...attributesOf("resource", resource.properties),
      ...attributesOf("context", context),
    },
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
