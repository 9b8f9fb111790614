import { once } from "node:events";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { selfSigned } from "../certificate.ts";
import { run } from "./cli.ts";
import { serveCommands } from "./served-commands.ts";

const { server, told } = await serveCommands();
const federation = (...words: string[]) => run(["federation", ...words], server.environment);
const errorOf = async (...words: string[]) => {
  const { exit, out } = await federation(...words, "--json");
  return [exit, JSON.parse(out).error];
};

let endpoint: Server;
let url: string;
beforeAll(async () => {
  endpoint = createServer(selfSigned((await makeKeyPair()).privateJwk), (_request, response) => {
    response.end('{"keys":[]}');
  });
  endpoint.listen(0, "127.0.0.1");
  await once(endpoint, "listening");
  url = `https://127.0.0.1:${(endpoint.address() as AddressInfo).port}/bundle`;
});
afterAll(() => {
  endpoint.closeAllConnections();
  endpoint.close();
});

describe("federation", () => {
  const domain = "partner.example";
  const add = (...more: string[]) => [
    ...["add", "--trust-domain", domain, "--url", url, "--profile", "https_web"],
    ...more,
  ];

  it("of an unknown trust domain is told so, whatever is asked", async () => {
    const unknown = { code: "not_found", detail: "there is no federation with this trust domain" };
    for (const verb of ["show", "refresh", "remove"])
      expect(await errorOf(verb, domain)).toEqual([1, expect.objectContaining(unknown)]);
  });

  it("says in words why a bundle can't be fetched, and how what was given is corrected", async () => {
    const first = await federation(...add());
    expect(first.exit).toBe(0);
    expect(first.err).toMatch(
      /at an address that is not public.*\(federation add --allow-private\); .*`countersign federation remove partner\.example`/,
    );
    const again = await errorOf(...add("--allow-private"));
    expect(again).toEqual([
      1,
      expect.objectContaining({
        code: "conflict",
        detail: expect.stringMatching(/never fetched.*remove it and add/),
      }),
    ]);
    await told("federation", "remove", domain);
    const second = await federation(...add("--allow-private"));
    expect(second.err).toContain(
      "it does not prove what it is: its certificate is from no authority that is trusted for it",
    );
    await told("federation", "remove", domain);
    const elsewhere = url.replace(/:\d+/, ":1");
    const third = await federation(...add("--allow-private", "--url", elsewhere));
    expect(third.err).toContain("it can't be reached: nothing listens there");
  });
});

describe("an id", () => {
  it("that begins rightly and is none is told to be none", async () => {
    const { err } = await run(["agent", "create", "--owner", "usr_nope", "--name", "a"], server.environment);
    expect(err).toMatch(/owner: is no id/);
  });
});
