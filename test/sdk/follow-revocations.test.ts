import { RefusedError, UnreachableError } from "@countersign/sdk/client/client-error";
import { followRevocations } from "@countersign/sdk/client/follow-revocations";
import { readServerSentEvents } from "@countersign/sdk/client/server-sent-events";
import { describe, expect, it } from "vitest";

/** A body that comes in these pieces. */
function bodyOf(...pieces: string[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(pieces.map((piece) => new TextEncoder().encode(piece)));
}

async function eventsIn(...pieces: string[]) {
  const events: unknown[] = [];
  for await (const event of readServerSentEvents(bodyOf(...pieces))) events.push(event);
  return events;
}

describe("a stream of server-sent events", () => {
  const expected = [
    { name: "one", data: "a\nb", lastEventId: "1" },
    { name: "message", data: "c", lastEventId: "1" },
  ];
  const text = ": hello\nevent: one\nid: 1\ndata: a\ndata: b\n\nretry: 3\n\ndata:c\n\ndata: cut off\n";

  it("is read alike in whatever pieces and line ends it comes", async () => {
    expect(await eventsIn(text)).toEqual(expected);
    expect(await eventsIn(...text)).toEqual(expected);
    expect(await eventsIn(...text.replaceAll("\n", "\r\n"))).toEqual(expected);
  });

  it("is refused when a line has no end", async () => {
    await expect(eventsIn(...Array(20).fill("x".repeat(100_000)))).rejects.toThrow(RangeError);
  });
});

describe("who follows revocations", () => {
  const event = (index: number) => ({
    index,
    kind: "token",
    id: `tok_${index}`,
    revoked_at: "2026-11-23T12:00:00.000Z",
    part: 1,
    last: true,
    delegations: [],
    agents: [],
  });
  const revoked = (index: number) =>
    `id: ${index}\nevent: revocation\ndata: ${JSON.stringify(event(index))}\n\n`;

  /** A server that answers each connection as told, and what it was asked. */
  function follow(answers: (string | Error)[], more: { after?: number } = {}) {
    const following = new AbortController();
    const told: number[] = [];
    const resumed: (string | undefined)[] = [];
    const done = followRevocations({
      client: {
        fetchRaw: async ({ headers }) => {
          resumed.push(headers?.["last-event-id"]);
          const answer = answers.shift();
          if (answer instanceof Error) throw answer;
          if (answers.length === 0) following.abort();
          return new Response(answer);
        },
      },
      onRevoked: ({ index }) => void told.push(index),
      signal: following.signal,
      ...more,
    });
    return { done, told, resumed };
  }

  it("goes on after the last one told, through breaks and servers that do not answer", async () => {
    const start = `id: 4\nevent: start\ndata: {"after":4}\n\n`;
    const away = new UnreachableError("https://issuer.example", undefined);
    const { done, told, resumed } = follow([
      `${start}${revoked(5)}event: end\ndata: {"reason":"expired"}\n\n`,
      away,
      new RefusedError(429, "too_many_requests", "too many"),
      `${revoked(6)}event: revocation\ndata: {"ind`,
      "",
    ]);
    await done;
    expect(told).toEqual([5, 6]);
    expect(resumed).toEqual([undefined, "5", "5", "5", "6"]);
  });

  it("begins where it is told to", async () => {
    const { done, resumed } = follow([""], { after: 7 });
    await done;
    expect(resumed).toEqual(["7"]);
  });

  it.each([
    ["a refusal", new RefusedError(401, "invalid_token", "no")],
    ["an event that it can't read", `event: revocation\ndata: {"index":"x"}\n\n`],
  ])("ends with %s", async (_what, answer) => {
    await expect(follow([answer, ""]).done).rejects.toThrow();
  });

  it("ends with what its own listener throws", async () => {
    const following = followRevocations({
      client: { fetchRaw: async () => new Response(revoked(1)) },
      onRevoked: () => Promise.reject(new TypeError("of the listener")),
      signal: new AbortController().signal,
    });
    await expect(following).rejects.toThrow("of the listener");
  });
});
