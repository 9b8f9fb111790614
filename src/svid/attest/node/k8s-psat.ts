import type { OrganizationId } from "@countersign/sdk/model/ids";
import { signedPartHash } from "@countersign/sdk/verify/signed-part";
import {
  type CryptoKey,
  compactVerify,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
} from "jose";
import { z } from "zod";
import { DomainError } from "../../../domain/domain-error.ts";
import type { Write } from "../../../store/write.ts";
import type { NodeAttestor } from "./attestor.ts";

/** A Kubernetes cluster whose machines may become nodes. */
export interface K8sCluster {
  /** What the operator calls it. */
  readonly name: string;
  /** The `iss` of its tokens; other clusters may have the same. */
  readonly issuer: string;
  /** The sole `aud` of the tokens that are meant for us. */
  readonly audience: string;
  /** `<namespace>:<name>` of those whose pods may join. */
  readonly serviceAccounts: readonly string[];
  /** How old a token may be. */
  readonly maxAgeSeconds: number;
  /**
   * The key of this cluster that a token names; undefined when it has no such key.
   *
   * @throws Error when its keys can't be had now
   */
  readonly keyOf: (kid: string, alg: string) => Promise<CryptoKey | undefined>;
}

export interface K8sPsatDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** What remembers this value until then, in the commit that it is good for. @throws UsedBefore */
  readonly useUp: (value: string, expiresAt: Date) => Promise<Write>;
  readonly clusters: readonly K8sCluster[];
  /** Whose nodes such machines become. */
  readonly organization: OrganizationId;
}

export interface K8sPsatEvidence {
  /** A projected service-account token. */
  readonly token: string;
}

/** What an API server signs with, as far as we take it. */
const algorithms = ["RS256", "ES256", "ES384"];
const kidCharsMax = 256;
const nameCharsMax = 200;
/** By which the clock of an API server may be ahead of ours. */
const toleranceSeconds = 15;

const aName = z.string().regex(/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/);
const named = z.looseObject({ name: aName, uid: z.string().regex(/^[0-9A-Za-z][0-9A-Za-z-]{0,127}$/) });
/** What Kubernetes says of who was given a token. The node is told since Kubernetes 1.30. */
const boundSchema = z.looseObject({
  namespace: aName,
  serviceaccount: named,
  pod: named,
  node: named.optional(),
});
type Bound = z.infer<typeof boundSchema>;
const claimsSchema = z.looseObject({ sub: z.string(), "kubernetes.io": boundSchema });
const time = z.number().positive().max(253_402_300_799);
const timesSchema = z.looseObject({ exp: time, iat: time, nbf: time.optional() });

/**
 * Whoever bears a fresh token of a pod is the machine that the pod runs on. A token holds no key, and so it is taken once, soon
 * after it was made: of two who come with it one joins, and the other is refused, which the log tells.
 *
 * @see Kubernetes, "ServiceAccount token volume projection" and "Schema for service account private claims"
 */
export function createK8sPsatAttestor(deps: K8sPsatDeps): NodeAttestor<K8sPsatEvidence> {
  return {
    kind: "k8s_psat",
    async attest({ token }) {
      const { cluster, claims } = await verifiedByOne(deps, token);
      const untilSeconds = demandTimes(cluster, claims, deps.now() / 1000);
      const bound = demandBound(cluster, claims);
      const once = await deps.useUp(signedPartHash(token), new Date(untilSeconds * 1000));
      const { pod, node } = bound;
      return {
        organization: deps.organization,
        attestation: "k8s_psat",
        subject: `${cluster.name}:${node === undefined ? `pod:${pod.uid}` : `node:${node.uid}`}`,
        selectors: selectorsOf(cluster, bound),
        name: (node ?? pod).name.slice(0, nameCharsMax),
        once,
      };
    },
  };
}

interface Verified {
  readonly cluster: K8sCluster;
  readonly claims: JWTPayload;
}

/**
 * The one cluster that signed the token for us. Several clusters often have one name as their issuer: then it is the key that
 * tells which of them it was.
 */
async function verifiedByOne({ clusters }: K8sPsatDeps, token: string): Promise<Verified> {
  const { alg, kid, claims } = decoded(token);
  const meant = clusters.filter(
    ({ issuer, audience }) => issuer === claims.iss && isSole(claims.aud, audience),
  );
  const outcomes = await Promise.allSettled(
    meant.map(async (cluster) => {
      const key = await cluster.keyOf(kid, alg);
      return key !== undefined && (await isSignedBy(key, token, alg)) ? [{ cluster, claims }] : [];
    }),
  );
  const [first, ...others] = outcomes.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
  if (first !== undefined && others.length === 0) return first;
  const failed = outcomes.find((one) => one.status === "rejected");
  if (first === undefined && failed !== undefined) throw failed.reason;
  // Whom we would believe is not for everybody to find out.
  throw refusal("the token is not one that a cluster signed for this server");
}

function decoded(token: string): { alg: string; kid: string; claims: JWTPayload } {
  try {
    const { alg, kid, typ, crit } = decodeProtectedHeader(token);
    const isJwt = (typ === undefined || typ.toLowerCase() === "jwt") && crit === undefined;
    if (
      isJwt &&
      algorithms.some((one) => one === alg) &&
      typeof kid === "string" &&
      kid.length <= kidCharsMax
    )
      return { alg: String(alg), kid, claims: decodeJwt(token) };
  } catch (error) {
    throw refusal("the token is not a signed JWT", error);
  }
  throw refusal("the token is not one of an API server");
}

/** One audience: what was made for somebody else too could have come from there. */
function isSole(aud: JWTPayload["aud"], audience: string): boolean {
  const [one, ...others] = [aud ?? []].flat();
  return one === audience && others.length === 0;
}

async function isSignedBy(key: CryptoKey, token: string, alg: string): Promise<boolean> {
  try {
    await compactVerify(token, key, { algorithms: [alg] });
    return true;
  } catch (error) {
    // A key that is not for this algorithm, or too short, is no key of its.
    if (error instanceof errors.JOSEError || error instanceof TypeError) return false;
    throw error;
  }
}

/** @returns when it is no longer accepted, in epoch seconds */
function demandTimes({ maxAgeSeconds }: K8sCluster, claims: JWTPayload, nowSeconds: number): number {
  const times = timesSchema.safeParse(claims);
  if (!times.success) throw refusal("the token has no exp and iat that are times", times.error);
  const { exp, iat, nbf = iat } = times.data;
  const untilSeconds = Math.min(exp, iat + maxAgeSeconds);
  if (untilSeconds <= nowSeconds)
    throw refusal(`the token is over, or was made more than ${maxAgeSeconds} s ago: wait for the next one`);
  if (Math.max(iat, nbf) > nowSeconds + toleranceSeconds) throw refusal("the token is not good yet");
  return untilSeconds;
}

function demandBound({ serviceAccounts }: K8sCluster, claims: JWTPayload): Bound {
  const read = claimsSchema.safeParse(claims);
  // One that anybody had made who may ask for tokens, and that is not of a pod, tells of no machine.
  if (!read.success) throw refusal("the token is not of a pod", read.error);
  const { sub, "kubernetes.io": bound } = read.data;
  const account = `${bound.namespace}:${bound.serviceaccount.name}`;
  if (sub !== `system:serviceaccount:${account}`) throw refusal("the token's sub is not its service account");
  if (!serviceAccounts.includes(account))
    throw refusal("the token's service account is not one whose pods may join");
  return bound;
}

/** As SPIRE names them. */
function selectorsOf({ name }: K8sCluster, { namespace, serviceaccount, pod, node }: Bound): string[] {
  return [
    `k8s_psat:cluster:${name}`,
    `k8s_psat:agent_ns:${namespace}`,
    `k8s_psat:agent_sa:${serviceaccount.name}`,
    `k8s_psat:agent_pod_name:${pod.name}`,
    `k8s_psat:agent_pod_uid:${pod.uid}`,
    ...(node === undefined
      ? []
      : [`k8s_psat:agent_node_name:${node.name}`, `k8s_psat:agent_node_uid:${node.uid}`]),
  ];
}

function refusal(detail: string, cause?: unknown): DomainError {
  return new DomainError("not_attested", detail, cause);
}
