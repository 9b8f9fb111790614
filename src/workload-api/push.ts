import { createHash } from "node:crypto";
import { type handleServerStreamingCall, status } from "@grpc/grpc-js";
import { boundedAs } from "../domain/bounded-as.ts";
import { DomainError } from "../domain/domain-error.ts";
import {
  type Admission,
  type AnswerCaller,
  type AnswerDeps,
  type AnswerStream,
  answersCaller,
  callingConnection,
  refusalOf,
  type Workload,
} from "./answer.ts";
import type { OpenStream } from "./connections.ts";

/** A stream that is being fed. */
export interface Push extends OpenStream {
  /** Something may be different now. */
  readonly wake: () => void;
  /** Ends the stream by an error of its caller's. */
  readonly fail: (error: unknown) => void;
}

const stopping = { code: status.UNAVAILABLE, details: "the server is stopping" };

/**
 * Feeds a stream: asks for the next answer at once, and again whenever the source or `wake` says that something may have
 * changed and what was sent before has been taken, so that a slow reader costs one message, the newest. The workload is
 * attested once, unless its configuration was measured; whether it is still there is looked at again before each message. The stream ends with the first error.
 *
 * @param next the answer to send, or undefined when there is nothing new
 */
export function pushAnswers<Answer>(
  deps: AnswerDeps,
  stream: AnswerStream<Answer>,
  admit: Admission,
  next: (workload: Workload) => Promise<Answer | undefined>,
): Push {
  let answerCaller: AnswerCaller | undefined;
  let hasNews = true;
  let isBusy = false;
  let hasEnded = false;
  const closers: (() => void)[] = [];

  function stop(): void {
    hasEnded = true;
    for (const close of closers.splice(0)) close();
  }

  function endWith(reason: () => typeof stopping): void {
    if (hasEnded) return;
    stop();
    stream.emit("error", reason());
  }

  const fail = (error: unknown) => endWith(() => refusalOf(deps, stream, error));
  const push = { wake, fail, stop, end: () => endWith(() => stopping) };

  async function nextAnswer(): Promise<Answer | undefined> {
    answerCaller ??= answersCaller(deps, callingConnection(deps, stream));
    return answerCaller(next);
  }

  function rest(): void {
    isBusy = false;
    step();
  }

  function step(): void {
    if (hasEnded || isBusy || !hasNews) return;
    hasNews = false;
    isBusy = true;
    nextAnswer().then((answer) => {
      if (answer === undefined || hasEnded) rest();
      else stream.write(answer, rest);
    }, fail);
  }

  function wake(): void {
    hasNews = true;
    step();
  }

  function open(): void {
    admit(stream);
    const { peer, streams } = callingConnection(deps, stream);
    // One that was cancelled just now may still be among them; the transport keeps to the number itself.
    const hasRoom = streams.size < 2 * deps.streamsPerConnectionMax;
    const leave = hasRoom ? deps.streamPlaces.take(boundedAs(peer)) : undefined;
    if (leave === undefined)
      throw new DomainError("too_many_requests", "too many streams are open: end one first");
    closers.push(leave);
    streams.add(push);
    closers.push(() => streams.delete(push));
    // Before the first answer is asked for: a change while it is made is news.
    closers.push(deps.source.onChange(wake));
    stream.once("cancelled", stop);
    step();
  }

  try {
    open();
  } catch (error) {
    fail(error);
  }
  return push;
}

/** A method that answers at once, and again with all of it whenever what the caller gets is different. */
export function answersOnChange<Request, Answer>(
  deps: AnswerDeps,
  admit: Admission,
  encode: (answer: Answer) => Uint8Array,
  answer: (workload: Workload) => Promise<Answer>,
): handleServerStreamingCall<Request, Answer> {
  return (stream) => {
    let sent: string | undefined;
    pushAnswers(deps, stream, admit, async (workload) => {
      const answered = await answer(workload);
      // Not the answer itself: it holds a private key.
      const digest = createHash("sha256").update(encode(answered)).digest("base64");
      if (digest === sent) return undefined;
      sent = digest;
      return answered;
    });
  };
}
