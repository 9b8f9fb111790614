import type { Client, TokenResponse } from "@countersign/sdk/client/client";
import { RefusedError, UnreachableError } from "@countersign/sdk/client/client-error";
import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { accessTokenClaimsSchema } from "@countersign/sdk/contract/access-token";
import { decodeJwt } from "jose";
import { type At, type Installation, type Party, until } from "../server.ts";
import { audience, scope } from "./cast.ts";

/** A token that a server handed out, and where it said that the issuance stands. */
export interface Acknowledged {
  readonly claims: AccessTokenClaims;
  readonly index: number;
}

/** Callers that ask for tokens until they are told to stop. */
export interface Load {
  readonly acknowledged: readonly Acknowledged[];
  /** How often which refusal came: `503 temporarily_unavailable`. */
  readonly refusals: ReadonlyMap<string, number>;
  /** Requests that broke without an answer. */
  readonly broken: () => number;
  /** Waits for the requests under way. */
  stop(): Promise<void>;
}

export interface LoadRequest {
  readonly callers: number;
  readonly servers: readonly At[];
  readonly agent: Party;
  readonly delegation: string;
}

/** Loads the servers: half of the callers redeem the delegation, half ask for a token of the agent's own. */
export function startLoad(installation: Installation, request: LoadRequest): Load {
  const { callers, servers, agent, delegation } = request;
  const acknowledged: Acknowledged[] = [];
  const refusals = new Map<string, number>();
  let broken = 0;
  let stopping = false;

  async function call(client: Client, exchanges: boolean): Promise<void> {
    try {
      acknowledged.push(
        acknowledgedBy(
          exchanges
            ? await client.redeemDelegation({ delegation, resource: audience, scope })
            : await client.requestToken({ resource: `${installation.issuer}/v1`, scope: "delegate" }),
        ),
      );
    } catch (error) {
      if (error instanceof UnreachableError) broken++;
      else if (error instanceof RefusedError) {
        const refusal = `${error.status} ${error.code}`;
        refusals.set(refusal, (refusals.get(refusal) ?? 0) + 1);
      } else throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  const running = Array.from({ length: callers }, async (_, number) => {
    const client = installation.clientAt(servers[number % servers.length] ?? neverAt, agent);
    while (!stopping) await call(client, number % 4 < 2);
  });
  return {
    acknowledged,
    refusals,
    broken: () => broken,
    async stop() {
      stopping = true;
      await Promise.all(running);
    },
  };
}

/** Waits until the load has got this many tokens more. */
export function untilServed(load: Load, tokens: number): Promise<void> {
  const wanted = load.acknowledged.length + tokens;
  return until("more tokens", () => load.acknowledged.length >= wanted);
}

const neverAt: At = () => {
  throw new RangeError("a load needs a server");
};

/** What a token response promises. @throws when it lacks its place in the ledger, or is no token of ours */
export function acknowledgedBy(response: TokenResponse): Acknowledged {
  if (response.ledger?.log !== "default") throw new Error("a token came without its place in the ledger");
  const claims = accessTokenClaimsSchema.parse(decodeJwt(response.access_token));
  return { claims, index: response.ledger.index };
}
