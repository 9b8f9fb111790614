import { type IncomingMessage, type RequestOptions, request as requestPlain } from "node:http";
import { Agent, request as requestTls } from "node:https";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { PeerCertificate } from "node:tls";
import { RefusedError, UnreachableError } from "@countersign/sdk/client/client-error";
import { readServerSentEvents } from "@countersign/sdk/client/server-sent-events";
import { problemSchema } from "@countersign/sdk/contract/problem";
import { spiffeIdOfServer, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { z } from "zod";
import { readBounded, textOf } from "../fetch/read-bounded.ts";
import { tlsFailureOf } from "../fetch/tls-failure.ts";
import { certificatePem, keyPem, type NodeIdentity } from "./node-identity.ts";

/** What the server is known by: a certificate for its host name, or its X.509-SVID. */
export type ServerTrust =
  | { readonly kind: "host"; readonly caPem: string | undefined }
  /** Authorities of the trust domain, until the node has the bundle from the server itself. */
  | { readonly kind: "spiffe"; readonly authorities: readonly Uint8Array[] };

export interface ServerConnectionOptions {
  /** An origin; plain http on loopback only. */
  readonly server: string;
  readonly trust: ServerTrust;
  /** What the node shows in the handshake; undefined before it has any. */
  readonly identity: () => NodeIdentity | undefined;
  /** Told when the server wants fewer requests, and how long this one waits. */
  readonly onSlowed?: (seconds: number) => void;
}

/** Asks the server of a node. Each throws RefusedError, or UnreachableError where no answer that counts comes. */
export interface ServerConnection {
  readonly get: <Answer>(path: string, schema: z.ZodType<Answer>) => Promise<Answer>;
  readonly post: <Answer>(path: string, body: unknown, schema: z.ZodType<Answer>) => Promise<Answer>;
  /** The data of each event of a stream, until it ends or `signal` is aborted. */
  readonly events: (path: string, signal: AbortSignal) => AsyncGenerator<unknown, void>;
  readonly close: () => void;
}

const answerTimeoutMs = 30_000;
const answerBytesMax = 16 * 1024 * 1024;
/** How often something is asked for of a server that wants fewer requests. */
const slowedTriesMax = 5;
const slowedSecondsMax = 30;
/** A stream that says nothing for so long, not even that it is open, is dead. */
const silenceMs = 60_000;

/** Nothing is asked yet. */
export function createServerConnection(options: ServerConnectionOptions): ServerConnection {
  const { server } = options;
  const isTls = server.startsWith("https:");
  let agent: Agent | undefined;
  let shown: NodeIdentity | undefined;
  /** From an earlier run: what the operator gives for this one counts before it, until the server has told another. */
  const kept = options.identity()?.bundles;

  /** Connections show the identity that they were made with. */
  function currentAgent(): Agent {
    const identity = options.identity();
    if (agent === undefined || identity !== shown) {
      // What is under way by the former one, the stream above all, goes on; its idle connections the server closes.
      agent = new Agent({ keepAlive: true, maxSockets: 16, ...tlsOptions(options.trust, identity, kept) });
      shown = identity;
    }
    return agent;
  }

  function ask(method: string, path: string, body: string | undefined, signal: AbortSignal) {
    return new Promise<IncomingMessage>((resolve, reject) => {
      const headers = {
        accept: "application/json, text/event-stream",
        ...(body !== undefined && {
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
        }),
      };
      const asked: RequestOptions = { method, headers, signal, timeout: silenceMs };
      const url = new URL(path, server);
      const request = isTls
        ? requestTls(url, { ...asked, agent: currentAgent() }, resolve)
        : requestPlain(url, asked, resolve);
      request.on("timeout", () => request.destroy(new Error("the server says nothing")));
      request.once("error", reject);
      request.end(body);
    });
  }

  async function answerTo(method: string, path: string, sent: string | undefined) {
    try {
      const response = await ask(method, path, sent, AbortSignal.timeout(answerTimeoutMs));
      const waitSeconds = secondsOf(response.headers["retry-after"]);
      const text = textOf(await readBounded(response, answerBytesMax));
      return { status: response.statusCode ?? 0, text, waitSeconds };
    } catch (error) {
      throw unreachable(server, error);
    }
  }

  async function perform<Answer>(method: string, path: string, schema: z.ZodType<Answer>, body?: unknown) {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    for (let tries = 1; ; tries++) {
      const { status, text, waitSeconds } = await answerTo(method, path, sent);
      if (status === 200) return schema.parse(JSON.parse(text));
      if (status !== 429 || tries === slowedTriesMax) throw failureOf(server, status, text);
      options.onSlowed?.(waitSeconds);
      await delay(waitSeconds * 1000);
    }
  }

  return {
    get: (path, schema) => perform("GET", path, schema),
    post: (path, body, schema) => perform("POST", path, schema, body),
    async *events(path, signal) {
      let response: IncomingMessage;
      try {
        response = await ask("GET", path, undefined, signal);
        if (response.statusCode !== 200)
          throw failureOf(
            server,
            response.statusCode ?? 0,
            textOf(await readBounded(response, answerBytesMax)),
          );
        for await (const { data } of readServerSentEvents(
          Readable.toWeb(response) as ReadableStream<Uint8Array>,
        ))
          yield JSON.parse(data);
      } catch (error) {
        if (error instanceof RefusedError || error instanceof UnreachableError) throw error;
        throw unreachable(server, error);
      }
    },
    close: () => agent?.destroy(),
  };
}

function tlsOptions(
  trust: ServerTrust,
  identity: NodeIdentity | undefined,
  kept: NodeIdentity["bundles"] | undefined,
) {
  const own = identity && {
    cert: identity.certificates.map(certificatePem).join(""),
    key: keyPem(identity.privateKey),
  };
  if (trust.kind === "host") return { minVersion: "TLSv1.2", ca: trust.caPem, ...own } as const;
  const told = identity?.bundles[0]?.bundle.x509Authorities;
  // What the server told since is newer than what the operator gave, if anything.
  const isNewer = identity?.bundles !== kept || trust.authorities.length === 0;
  const authorities = (isNewer ? told : undefined) ?? trust.authorities;
  return {
    minVersion: "TLSv1.2",
    ca: authorities.map(certificatePem),
    // The chain leads to an authority of the trust domain, which OpenSSL saw to; and it is the server's, not a workload's.
    checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
      isServer(certificate, identity?.trustDomain) ? undefined : notServer(),
    ...own,
  } as const;
}

function isServer({ subjectaltname = "" }: PeerCertificate, trustDomain: TrustDomain | undefined): boolean {
  if (trustDomain !== undefined) return subjectaltname === `URI:${spiffeIdOfServer(trustDomain)}`;
  return /^URI:spiffe:\/\/[a-z0-9._-]+\/countersign\/server$/.test(subjectaltname);
}

function notServer(): Error {
  return Object.assign(new Error("it is not the server's SVID"), { code: "CERT_NOT_OF_SERVER" });
}

/** In our words where TLS is why: OpenSSL's are of several lines, and Node's advise what does not help here. */
function unreachable(server: string, error: unknown): UnreachableError {
  const failure = tlsFailureOf(error);
  if (failure === undefined) return new UnreachableError(server, error);
  const words = {
    certificate: "its certificate is not one that the trust bundle, or the authorities, let in",
    ours: "it refuses this node's certificate, or that it shows none",
    handshake: "it and this machine find no TLS in common",
  };
  return new UnreachableError(server, new Error(words[failure], { cause: error }));
}

/** How long to wait, by a Retry-After in seconds. */
function secondsOf(retryAfter: string | undefined): number {
  const seconds = /^\d{1,6}$/.test(retryAfter ?? "") ? Number(retryAfter) : 1;
  return Math.min(Math.max(seconds, 1), slowedSecondsMax);
}

function failureOf(server: string, status: number, text: string): Error {
  const problem = problemSchema.safeParse(jsonOf(text));
  if (!problem.success || status >= 500)
    return new UnreachableError(server, new Error(`the server answered ${status}`));
  const { code, detail, title } = problem.data;
  return new RefusedError(status, code, detail ?? title);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No answer of ours.
    return undefined;
  }
}
