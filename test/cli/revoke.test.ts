import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { run } from "./cli.ts";
import { serveCommands } from "./served-commands.ts";

const audience = "https://files.example";
const { server, directory, alice, answer, makeAgent } = await serveCommands();
beforeAll(async () => {
  await answer("resource", "create", "--audience", audience, "--scope", "r", "--owner", alice);
});

let made = 0;
/** A delegation to one agent, who passed it on to another. */
async function makeTree() {
  const number = ++made;
  const [top, below] = [await makeAgent(`top${number}`), await makeAgent(`below${number}`)];
  const delegate = (...words: string[]) =>
    answer("delegate", "--resource", audience, "--scope", "r", ...words);
  const root = (await delegate("--from", alice, "--to", top.id, "--max-depth", "1")).id;
  const child = (await delegate("--from", root, "--key", top.file, "--to", below.id)).id;
  return { top: top.id, below: below.id, root, child };
}

const statusOf = async (delegation: string) =>
  JSON.parse((await run(["revoke", "delegation", delegation, "--dry-run", "--json"], server.environment)).out)
    .live.delegations;

describe("revoke, before it does", () => {
  it("[REV-004] shows somebody at a terminal what would end, and does nothing without a yes", async () => {
    const { root, child, below } = await makeTree();
    const asked: string[] = [];
    const atTerminal = (answers: boolean) => ({
      isTerminal: true,
      confirm: async (question: string) => {
        asked.push(question);
        return answers;
      },
    });
    const words = ["revoke", "delegation", root];
    const no = await run(words, server.environment, atTerminal(false));
    expect([no.exit, no.out]).toEqual([1, "nothing was revoked"]);
    expect(no.err).toMatch(/^delegations that would end with it +1$/m);
    expect(no.err).toMatch(/^live now, itself included +2 delegations of 2 agents$/m);
    expect(no.err).toContain(`${child}  of ${below}, until `);
    expect(asked).toEqual([`Revoke delegation ${root}?`]);
    expect(await statusOf(root)).toBe(2);
    const yes = await run(words, server.environment, atTerminal(true));
    expect(yes.exit).toBe(0);
    expect(yes.out).toContain(`${child}  of ${below}, until `);
    expect(await statusOf(root)).toBe(0);
  });

  it("[REV-004] with --dry-run only shows it", async () => {
    const { top, root } = await makeTree();
    expect(await answer("revoke", "agent", top, "--dry-run")).toMatchObject({
      counts: { delegations: 2, agents: 1 },
      live: { delegations: 2, agents: 2 },
      items: [{ kind: "agent", id: top }, { kind: "delegation", id: root }, {}],
    });
    expect(await statusOf(root)).toBe(2);
  });

  // The pretended terminal fails a test that is asked.
  it.each([
    ["a script, which nobody sits at", [], {}],
    ["who says --yes", ["--yes"], { isTerminal: true }],
  ])("[REV-004] does not ask %s", async (_who, options, terminal) => {
    const { root } = await makeTree();
    const { exit, err } = await run(["revoke", "delegation", root, ...options], server.environment, terminal);
    expect([exit, err]).toEqual([0, ""]);
    expect(await statusOf(root)).toBe(0);
  });
});

describe("what ends something at a terminal", () => {
  /** Somebody at a terminal; what they were asked. */
  const sitting = (answers: boolean) => {
    const asked: string[] = [];
    const confirm = async (question: string) => {
      asked.push(question);
      return answers;
    };
    return { asked, terminal: { isTerminal: true, confirm } };
  };

  it("[REV-004] asks with --json too, on standard error: standard output stays one JSON value", async () => {
    const { root } = await makeTree();
    const words = ["revoke", "delegation", root, "--json"];
    const no = sitting(false);
    const declined = await run(words, server.environment, no.terminal);
    expect([declined.exit, JSON.parse(declined.out).error.code, no.asked.length]).toEqual([1, "declined", 1]);
    expect(declined.err).toContain("delegations that would end with it");
    expect(await statusOf(root)).toBe(2);
    const yes = sitting(true);
    const done = await run(words, server.environment, yes.terminal);
    expect([done.exit, JSON.parse(done.out).revoked.id]).toEqual([0, root]);
    expect(await statusOf(root)).toBe(0);
  });

  it("[REV-004] asks before `agent retire` and `user offboard`, whatever form the answer takes", async () => {
    const { top, root } = await makeTree();
    for (const [words, question] of [
      [["agent", "retire", top], `Retire agent ${top}?`],
      [["user", "offboard", alice, "--json"], `Offboard user ${alice}?`],
    ] as const) {
      const { asked, terminal } = sitting(false);
      expect((await run([...words], server.environment, terminal)).exit).toBe(1);
      expect(asked).toEqual([question]);
    }
    expect(await statusOf(root)).toBe(2);
    const { terminal } = sitting(true);
    const retired = await run(["agent", "retire", top], server.environment, terminal);
    expect(retired.out).toMatch(new RegExp(`^agent ${top} is retired\\nrecorded: log default, entry \\d+$`));
    expect(retired.err).toMatch(/^delegations that would end with it +2$/m);
    expect(await statusOf(root)).toBe(0);
  });

  it("[REV-004] counts what ended already apart, marks it, and does not ask about what is revoked", async () => {
    const { root, child, below } = await makeTree();
    await answer("revoke", "delegation", child);
    const { out } = await run(["revoke", "delegation", root, "--dry-run"], server.environment);
    expect(out).toMatch(/^delegations that would end with it +0$/m);
    expect(out).toMatch(/^ended already, or at rest +1$/m);
    expect(out).toMatch(new RegExp(`^ {2}${child} {2}of ${below}, until \\S+ \\(revoked already\\)$`, "m"));
    expect(out).not.toContain(`  ${root}  of`);
    const { asked, terminal } = sitting(true);
    const again = await run(["revoke", "delegation", child], server.environment, terminal);
    expect([again.exit, again.err, asked]).toEqual([1, expect.stringContaining("is revoked already"), []]);
    const dry = await run(["revoke", "delegation", child, "--dry-run"], server.environment);
    expect([dry.exit, dry.out]).toEqual([0, `${child} is revoked already: nothing more would end`]);
  });

  it("[USR-001] lists the agents that `user offboard` stops, and counts them apart; the receipt says the same", async () => {
    const bob = (await answer("user", "create", "--name", "Bob")).id;
    const mine = (await answer("agent", "create", "--owner", bob, "--name", "bobs")).id;
    const { top } = await makeTree();
    const open = "https://open.example";
    await answer("resource", "create", "--audience", open, "--scope", "r", "--open");
    const grant = ["delegate", "--resource", open, "--scope", "r", "--from", bob, "--to"];
    await answer(...grant, top);
    const shown = (await run(["user", "offboard", bob, "--dry-run"], server.environment)).out;
    expect(shown).toMatch(/^agents it would stop +1$/m);
    expect(shown).toMatch(/^other agents that hold them +1$/m);
    expect(shown).toContain(`\n  ${mine}  bobs`);
    const file = join(directory, "bob.json");
    const { out } = await run(["user", "offboard", bob, "--out", file], server.environment);
    const verified = (await run(["ledger", "verify-receipt", file])).out;
    for (const words of [out, verified]) {
      expect(words).toMatch(/^agents stopped +1$/m);
      expect(words).toMatch(/^other agents that held them +1$/m);
    }
    expect(out).toContain(`\n  ${mine}`);
  });
});

describe("revoke --out", () => {
  const verify = (...words: string[]) => run(["ledger", "verify-receipt", ...words]);

  it("[REV-002] writes what a stranger verifies without the server, with keys of their own or as it says itself", async () => {
    const { root, child } = await makeTree();
    const file = join(directory, "receipt.json");
    await answer("revoke", "delegation", root, "--out", file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const evidence = JSON.parse(readFileSync(file, "utf8"));
    expect(evidence.reach.map(({ id }: { id: string }) => id)).toEqual([root, child]);

    const self = await verify(file);
    expect(self.exit).toBe(0);
    expect(self.out).toMatch(/^verified$/m);
    expect(self.out).toMatch(/^issuer's keys +self-asserted: give --jwks$/m);
    const jwks = join(directory, "jwks.json");
    writeFileSync(jwks, JSON.stringify(evidence.jwks));
    const trusting = ["--jwks", jwks, "--vkey", evidence.vkeys[0]];
    const { exit, out } = await verify(file, ...trusting, "--json");
    expect([exit, JSON.parse(out)]).toMatchObject([
      0,
      {
        ok: true,
        receipt: { revoked: { kind: "delegation", id: root } },
        keys: { receipt: true, log: true },
      },
    ]);

    const forgeries: [string, object, string][] = [
      ["a list that lacks an item", { reach: evidence.reach.slice(1) }, "reach_mismatch"],
      ["an entry that was changed", { entry: evidence.entry.replace(root, child) }, "entry_unproven"],
      ["another receipt", { receipt: evidence.receipt.replace(/\.[^.]*$/, ".AAAA") }, "signature_invalid"],
    ];
    for (const [what, change, code] of forgeries) {
      const forged = join(directory, "forged.json");
      writeFileSync(forged, JSON.stringify({ ...evidence, ...change }));
      const verdict = await verify(forged, "--json");
      expect([what, verdict.exit, JSON.parse(verdict.out).problem?.code]).toEqual([what, 1, code]);
    }
    const other = await makeTree();
    const another = join(directory, "another.json");
    await answer("revoke", "agent", other.top, "--out", another);
    const { entry, proof } = JSON.parse(readFileSync(another, "utf8"));
    const swapped = join(directory, "swapped.json");
    writeFileSync(swapped, JSON.stringify({ ...evidence, entry, proof }));
    expect(JSON.parse((await verify(swapped, "--json")).out).problem.code).toBe("entry_mismatch");
  });

  it("refuses before it revokes to write over a file, and to read one that holds no evidence", async () => {
    const { root } = await makeTree();
    const file = join(directory, "taken.json");
    writeFileSync(file, "{}");
    const { exit } = await run(["revoke", "delegation", root, "--out", file], server.environment);
    expect(exit).toBe(2);
    expect(await statusOf(root)).toBe(2);
    const none = await verify(file);
    expect([none.exit, none.err]).toEqual([
      2,
      `countersign: ${file} does not hold what \`revoke --out FILE\` writes`,
    ]);
    expect((await verify(join(directory, "missing.json"))).exit).toBe(2);
  });

  it("[REV-001] works for a token, and for an agent that is only suspended", async () => {
    const file = join(directory, "token.json");
    await answer("revoke", "token", "tok_01arz3ndektsv4rrffq69g5fav", "--out", file);
    expect((await verify(file)).exit).toBe(0);
    const { top } = await makeTree();
    expect(await answer("agent", "suspend", top)).toMatchObject({ receipt: expect.stringMatching(/^ey/) });
    expect(await answer("agent", "resume", top)).not.toHaveProperty("receipt");
  });
});
