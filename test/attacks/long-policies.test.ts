import { describe, expect, test } from "vitest";
import { checkPolicy } from "../../src/policy/check.ts";
import { decide } from "../../src/policy/decide.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy, loadRecordedPolicy } from "../../src/policy/snapshot.ts";
import { baseRequest } from "../policy/base-request.ts";

// What can be tried with the length of a policy.
const issuer = "https://id.example";
const { model } = await readShippedPolicy();
const load = (policy: string) => loadPolicy({ model, policy, issuer });
const line = (id: string, sub: string, eft: string) =>
  `p, ${id}, acme, ${sub}, delegated, *, token.exchange, mail.read, *, ${eft}, because`;

/** Lines of which only the last is about the base request's subject. */
const many = [
  ...Array.from({ length: 20_000 }, (_, index) => line(`allow-${index}`, `agt_other-${index}`, "allow")),
  ...Array.from({ length: 20_000 }, (_, index) => `g, agt_other-${index}, team-${index % 50}, acme`),
  line("deny", "agt_1", "deny"),
].join("\n");

describe("[POL-020] while a long policy is loaded", () => {
  /** How often the event loop turned until the work was done, each time with a decision by the policy in force. */
  async function decisionsDuring(work: Promise<unknown>): Promise<number> {
    const inForce = await load(line("allow", "agt_1", "allow"));
    const during: string[] = [];
    let isDone = false;
    const turn = () => {
      if (isDone) return;
      during.push(decide(inForce, baseRequest).rule);
      setImmediate(turn);
    };
    setImmediate(turn);
    await work;
    isDone = true;
    expect(new Set(during)).toEqual(new Set(["allow"]));
    return during.length;
  }

  test("as it was written, or as it was recorded, decisions are made by the one in force", async () => {
    const loading = load(many);
    expect(await decisionsDuring(loading)).toBeGreaterThan(2);
    const { text, hash } = await loading;
    const recorded = loadRecordedPolicy(text);
    expect(await decisionsDuring(recorded)).toBeGreaterThan(2);
    expect((await recorded).hash).toBe(hash);
    expect(decide(await recorded, baseRequest).rule).toBe("deny");
  });

  test("two at a time are two policies", async () => {
    const [long, short] = await Promise.all([load(many), load(line("allow", "agt_1", "allow"))]);
    expect([long, short].map((one) => decide(one, baseRequest).rule)).toEqual(["deny", "allow"]);
  });

  test("one that has no end is refused", () => {
    const policy = `${line("allow", "agt_1", "allow")}${"\n".repeat(1_000_000)}`;
    expect(checkPolicy({ model, policy, issuer })).toEqual([
      { line: 0, reason: "it has more than 1000000 lines" },
    ]);
  });
});
