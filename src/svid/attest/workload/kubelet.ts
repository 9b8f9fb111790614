import { readFile } from "node:fs/promises";
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { z } from "zod";
import { isLoopback } from "../../../domain/loopback.ts";
import { readBounded, textOf } from "../../../fetch/read-bounded.ts";

/** Where the kubelet of this machine answers, and how we prove to it who we are. */
export interface KubeletConfig {
  /** `https://…:10250`; http is for a loopback address alone. */
  readonly url: string;
  /** Files in PEM, or of one token, read anew for each request: Kubernetes replaces them while we run. */
  readonly caFile?: string;
  readonly tokenFile?: string;
  readonly certificateFile?: string;
  readonly keyFile?: string;
}

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
const visibleAscii = /^[\x21-\x7e]{1,65536}$/;

const podList = z.looseObject({ kind: z.literal("PodList"), items: z.array(z.unknown()).nullish() });
const named = z.looseObject({ metadata: z.looseObject({ uid: z.string() }) });

/**
 * Asks the kubelet for its pods, once at a time, and for all who ask within a second.
 *
 * @throws Error when the URL is none that may be asked; the function, when the kubelet does not answer as it should
 * @see `GET /pods` of the kubelet, whose answer is a v1.PodList
 */
export function createReadPods({ now }: KubeletDeps, config: KubeletConfig): ReadPods {
  const url = podsUrl(config.url);
  let held: Asked | undefined;
  const isFresh = (notBeforeMs: number) => held !== undefined && held.askedAtMs >= notBeforeMs;

  function ask(): Asked {
    const pods = fetchPods(url, config);
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

async function fetchPods(url: URL, config: KubeletConfig): Promise<Pods> {
  const [ca, token, cert, key] = await Promise.all(
    [config.caFile, config.tokenFile, config.certificateFile, config.keyFile].map(async (path) =>
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
    if (response.statusCode !== 200) throw new Error(`the kubelet answered with ${response.statusCode}`);
    return textOf(await readBounded(response, answerBytesMax));
  } finally {
    request.destroy();
  }
}
