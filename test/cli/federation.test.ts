import { describe, expect, it } from "vitest";
import { run } from "./cli.ts";
import { serveCommands } from "./served-commands.ts";

const { server } = await serveCommands();
const federation = (...words: string[]) => run(["federation", ...words], server.environment);
const errorOf = async (...words: string[]) => {
  const { exit, out } = await federation(...words, "--json");
  return [exit, JSON.parse(out).error];
};

describe("federation", () => {
  const domain = "partner.example";

  it("of an unknown trust domain is told so, whatever is asked", async () => {
    const unknown = { code: "not_found", detail: "there is no federation with this trust domain" };
    for (const verb of ["show", "refresh", "remove"])
      expect(await errorOf(verb, domain)).toEqual([1, expect.objectContaining(unknown)]);
  });
});

describe("an id", () => {
  it("that begins rightly and is none is told to be none", async () => {
    const { err } = await run(["agent", "create", "--owner", "usr_nope", "--name", "a"], server.environment);
    expect(err).toMatch(/owner: is no id/);
  });
});
