import { readFile } from "node:fs/promises";
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { z } from "zod";
import type { KubeletPlace } from "../../../domain/kubelet.ts";
import { isLoopback } from "../../../domain/loopback.ts";
import { readBounded, textOf } from "../../../fetch/read-bounded.ts";

export interface KubeletDeps {
  /** Milliseconds; it need not be the time of day. */
  readonly now: () => number;
}

/** The pods that run on this machine, by uid. What is in one is not yet read. */
export type Pods = ReadonlyMap<string, unknown>;

/** @param notBeforeMs what was asked for earlier does not suffice */
export type ReadPods = (notBeforeMs?: number) => Promise<Pods>;

const answerBytesMax = 32 * 1024 * 1024;
const answerMs = 5_000;
const heldMs = 1_000;
/** @see Kubernetes, "Kubelet authentication/authorization" */
const reasons: Readonly<Record<number, string>> = {
  401: ": it does not know who shows this token or certificate",
  403: ": whoever shows this token or certificate may not get nodes/pods (nodes/proxy before Kubernetes 1.33)",
};
const visibleAscii = /^[\x21-\x7e]{1,65536}$/;

const podList = z.looseObject({ kind: z.literal("PodList"), items: z.array(z.unknown()).nullish() });
const named = z.looseObject({ metadata: z.looseObject({ uid: z.string() }) });

/** @throws Error for a URL at which no kubelet may be asked */
export function demandKubeletUrl(text: string): void {
  podsUrl(text);
}

/**
 * Asks the kubelet for its pods, once at a time, and for all who ask within a second.
 *
 * @throws Error when the URL is none that may be asked; the function, when the kubelet does not answer as it should
 * @see `GET /pods` of the kubelet, whose answer is a v1.PodList
 */
export function createReadPods({ now }: KubeletDeps, place: KubeletPlace): ReadPods {
  const url = podsUrl(place.url);
  let held: Asked | undefined;
  const isFresh = (notBeforeMs: number) => held !== undefined && held.askedAtMs >= notBeforeMs;

  function ask(): Asked {
    const pods = fetchPods(url, place);
    const asked: Asked = { askedAtMs: now(), pods, isUnderWay: true };
    asked.pods
      .catch(() => {
        // Told to those who wait for it, and not held.
        if (held === asked) held = undefined;
      })
      .finally(() => {
        asked.isUnderWay = false;
      });
    return asked;
  }

  return async (notBeforeMs = now() - heldMs) => {
    if (!isFresh(notBeforeMs) && held?.isUnderWay) await Promise.allSettled([held.pods]);
    if (held === undefined || !isFresh(notBeforeMs)) held = ask();
    return held.pods;
  };
}

interface Asked {
  readonly askedAtMs: number;
  readonly pods: Promise<Pods>;
  isUnderWay: boolean;
}

function podsUrl(text: string): URL {
  const url = new URL(text);
  const mayAsk = url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
  if (!mayAsk || url.username !== "" || url.search !== "" || url.hash !== "")
    throw new Error("the kubelet is asked by https, or by http at a loopback address");
  url.pathname = `${url.pathname.replace(/\/$/, "")}/pods`;
  return url;
}

async function fetchPods(url: URL, place: KubeletPlace): Promise<Pods> {
  const [ca, token, cert, key] = await Promise.all(
    [place.caFile, place.tokenFile, place.certificateFile, place.keyFile].map(async (path) =>
      path === undefined ? undefined : readFile(path, "utf8"),
    ),
  );
  const bearer = token?.trim();
  // The token must not be told by the error.
  if (bearer !== undefined && !visibleAscii.test(bearer))
    throw new Error("the kubelet's token file holds no token");
  const body = await get(url, {
    agent: false,
    signal: AbortSignal.timeout(answerMs),
    headers: {
      accept: "application/json",
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
    },
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  });
  const { items } = podList.parse(JSON.parse(body));
  const pods = new Map<string, unknown>();
  for (const item of items ?? []) {
    const pod = named.safeParse(item);
    if (pod.success) pods.set(pod.data.metadata.uid, item);
  }
  return pods;
}

async function get(url: URL, options: Parameters<typeof requestHttps>[1]): Promise<string> {
  const request = (url.protocol === "https:" ? requestHttps : requestHttp)(url, options);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.once("response", resolve).on("error", reject).end();
  });
  try {
    const { statusCode = 0 } = response;
    if (statusCode !== 200)
      throw new Error(`the kubelet answered with ${statusCode}${reasons[statusCode] ?? ""}`);
    return textOf(await readBounded(response, answerBytesMax));
  } finally {
    request.destroy();
  }
}
