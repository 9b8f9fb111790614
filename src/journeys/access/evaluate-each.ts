import { DomainError } from "../../domain/domain-error.ts";
import {
  type AccessQuestion,
  demandAsker,
  type EvaluateDeps,
  type EvaluateRequest,
  evaluateAccess,
} from "./evaluate.ts";
import type { Evaluation } from "./evaluation.ts";

export interface EvaluateEachRequest extends Pick<EvaluateRequest, "caller"> {
  /** What could not be read as a question stands in its place as its fault. */
  readonly questions: readonly (AccessQuestion | DomainError)[];
  /** Ends with the first answer that says so; undefined: none does. */
  readonly until?: boolean | undefined;
}

/**
 * Answers questions one after the other. What can't be answered of one, for it is malformed or not the caller's to ask, is
 * a no to that one.
 *
 * @throws DomainError `not_authorized` for who may ask nothing
 * @see AuthZEN Authorization API 1.0, section 7
 */
export async function evaluateEach(
  deps: EvaluateDeps,
  { caller, questions, until }: EvaluateEachRequest,
): Promise<readonly (Evaluation | DomainError)[]> {
  demandAsker(caller);
  const reading = readingOnce(deps);
  const answers: (Evaluation | DomainError)[] = [];
  for (const question of questions) {
    const answer = question instanceof DomainError ? question : await answerTo(reading, { caller, question });
    answers.push(answer);
    if (until === (answer instanceof DomainError ? false : answer.allowed)) break;
  }
  return answers;
}

async function answerTo(deps: EvaluateDeps, request: EvaluateRequest): Promise<Evaluation | DomainError> {
  try {
    return await evaluateAccess(deps, request);
  } catch (error) {
    const isOfQuestion =
      error instanceof DomainError && (error.code === "invalid_request" || error.code === "not_authorized");
    if (isOfQuestion) return error;
    throw error;
  }
}

/** Questions of one request are mostly about one subject or one resource: each is read once for all of them. */
export function readingOnce(deps: EvaluateDeps): EvaluateDeps {
  return {
    ...deps,
    findAgent: once(deps.findAgent),
    findUser: once(deps.findUser),
    findResourceByAudience: once(deps.findResourceByAudience),
  };
}

function once<Of extends string, Key extends string, Found>(
  find: (of: Of, key: Key) => Promise<Found>,
): (of: Of, key: Key) => Promise<Found> {
  const found = new Map<string, Promise<Found>>();
  return (of, key) => {
    const known = found.get(`${of} ${key}`) ?? find(of, key);
    found.set(`${of} ${key}`, known);
    return known;
  };
}
