import { z } from "zod";
import { problemSchema } from "../contract/problem.ts";
import { RefusedError, UnreachableError } from "./client-error.ts";

const oauthErrorSchema = z.looseObject({ error: z.string(), error_description: z.string().optional() });
const answerTimeoutMs = 30_000;

/** What sends requests with proofs. */
export interface ProvenDeps {
  readonly fetch: typeof globalThis.fetch;
  /** The issuer's last nonce. */
  lastNonce(): string | undefined;
}

/** A fetch that keeps the nonce of each answer. @see RFC 9449, section 8.2 */
export function rememberNonces({ fetch }: Pick<ProvenDeps, "fetch">): ProvenDeps {
  let last: string | undefined;
  return {
    lastNonce: () => last,
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      last = response.headers.get("dpop-nonce") ?? last;
      return response;
    },
  };
}

/** Sends a request with a proof, and once more, made anew, where the issuer wishes for a nonce that it gives. @throws RefusedError, UnreachableError */
export async function sendProven(
  deps: ProvenDeps,
  server: string,
  url: string,
  request: (nonce: string | undefined) => Promise<RequestInit>,
): Promise<Response> {
  const nonce = deps.lastNonce();
  try {
    return await send(deps, server, url, await request(nonce));
  } catch (error) {
    const wishes = error instanceof RefusedError && error.code === "use_dpop_nonce";
    if (!wishes || deps.lastNonce() === nonce) throw error;
    return send(deps, server, url, await request(deps.lastNonce()));
  }
}

/** Sends a request and answers with a response that is ok. @throws RefusedError, UnreachableError */
export async function send(
  deps: { readonly fetch: typeof globalThis.fetch },
  server: string,
  url: string,
  request: RequestInit,
): Promise<Response> {
  let response: Response;
  try {
    // A redirect would carry the token and its proof to wherever it points.
    response = await deps.fetch(url, {
      ...request,
      redirect: "error",
      signal: request.signal ?? AbortSignal.timeout(answerTimeoutMs),
    });
  } catch (error) {
    throw new UnreachableError(server, error);
  }
  if (response.ok) return response;
  throw await refusalOf(response);
}

async function refusalOf(response: Response): Promise<RefusedError> {
  const body: unknown = await response.json().catch(() => undefined);
  const problem = problemSchema.safeParse(body);
  if (problem.success) {
    return new RefusedError(response.status, problem.data.code, problem.data.detail ?? problem.data.title);
  }
  const oauth = oauthErrorSchema.safeParse(body);
  if (oauth.success) {
    return new RefusedError(
      response.status,
      oauth.data.error,
      oauth.data.error_description ?? oauth.data.error,
    );
  }
  return new RefusedError(response.status, "unexpected_answer", `the server answered ${response.status}`);
}
