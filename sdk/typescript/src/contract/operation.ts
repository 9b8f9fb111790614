import type { z } from "zod";
import type { ErrorCode } from "../model/error-codes.ts";

/** The scopes of the issuer's own API. */
export type ApiScope = "admin" | "audit" | "delegate" | "evaluate" | "report" | "revocations";

/** Takes the parameters of a path: every one is a text. */
export type ParamsSchema = z.ZodType<unknown, Readonly<Record<string, string>>>;
/** Takes the parameters of a query: what is absent isn't sent. */
export type QuerySchema = z.ZodType<unknown, Readonly<Record<string, string | number | undefined>>>;

/** One operation of the server: it mounts it, the client performs it. A schema that is absent means: takes none. */
export interface Operation<
  Params extends ParamsSchema | undefined = ParamsSchema | undefined,
  Query extends QuerySchema | undefined = QuerySchema | undefined,
  Body extends z.ZodType | undefined = z.ZodType | undefined,
  Answer extends z.ZodType = z.ZodType,
> {
  /** Unique among all operations; never changes, for generated clients name their functions after it. */
  readonly name: string;
  readonly method: "get" | "post" | "put" | "patch" | "delete";
  /** As OpenAPI writes it: a parameter stands in braces, `/v1/users/{id}`. */
  readonly path: `/v1/${string}` | `/access/v1/${string}`;
  /** What it does, in one sentence. */
  readonly summary: string;
  /**
   * Any one of these opens it; a client asks for the first unless told. None: it is called under the access token that
   * it is about, whatever its audience.
   */
  readonly anyOf: readonly ApiScope[];
  /** Who calls it without an access token: a node by its X.509-SVID, or anybody. */
  readonly by?: "node" | "anybody";
  /** Of an answer that is no error; 200 unless told. */
  readonly status?: 200 | 201 | 202;
  /** What it may be refused with beside what every operation of its kind may be. */
  readonly refusedWith?: readonly ErrorCode[];
  /** It asks and changes nothing, whatever its method: there is nothing to do only once. */
  readonly asks?: true;
  /** Its answer holds a secret that is told once: none is kept for a repeat of the request. */
  readonly answersSecret?: true;
  /** Of its body, where it may be larger than 64 KiB. */
  readonly bodyBytesMax?: number;
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body;
  readonly answer: Answer;
  /** What each event tells of the stream that whoever accepts `text/event-stream` gets instead of the answer. */
  readonly events?: z.ZodType;
}

/** An operation on the one thing that its path names, with nothing more to say. */
export type ActOnOne<Answer extends z.ZodType> = Operation<
  z.ZodType<unknown, { id: string }>,
  undefined,
  undefined,
  Answer
>;

/** The operation as it stands; what it takes and answers becomes part of its type. */
export function operation<
  Params extends ParamsSchema | undefined = undefined,
  Query extends QuerySchema | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
  Answer extends z.ZodType = z.ZodType,
>(operation: Operation<Params, Query, Body, Answer>): Operation<Params, Query, Body, Answer> {
  return operation;
}

/** Whether it changes something. */
export function isMutation({ method, asks }: Pick<Operation, "method" | "asks">): boolean {
  return method !== "get" && asks === undefined;
}

/** Whether it takes an Idempotency-Key: a decision under a token holds for its moment, and has no first answer to repeat. */
export function isRepeatable(operation: Pick<Operation, "method" | "asks" | "anyOf">): boolean {
  return isMutation(operation) && operation.anyOf.length > 0;
}

/** The path of the one thing that an operation is about, `/v1/users/{id}`; undefined when its path names none. */
export function thingOf({ path }: Pick<Operation, "path">): string | undefined {
  return /^.*\}/.exec(path)?.[0];
}

/** Whether it reads the one thing that its path names: such a one answers with an ETag. */
export function readsOne(operation: Pick<Operation, "method" | "asks" | "path">): boolean {
  return !isMutation(operation) && thingOf(operation) === operation.path;
}

/** The path with each parameter written by `write`, which is given its name. */
export function pathOf({ path }: Pick<Operation, "path">, write: (name: string) => string): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => write(name));
}
