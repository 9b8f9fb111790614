import { describe, expect, test } from "vitest";
import { decide } from "../../src/policy/decide.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy, loadRecordedPolicy } from "../../src/policy/snapshot.ts";
import { baseRequest } from "./base-request.ts";
import { policyText, randomPolicy, randomRequest, seededRandom } from "./random-policy.ts";

const issuer = "https://id.example";
const { model } = await readShippedPolicy();
const load = (policy: string) => loadPolicy({ model, policy, issuer });
const line = (id: string, sub: string, eft: string) =>
  `p, ${id}, acme, ${sub}, delegated, *, token.exchange, mail.read, *, ${eft}, because`;

describe("[POL-021] a version that was recorded", () => {
  test("decides as the one that was written, by the same rules and with the same hash", async () => {
    const random = seededRandom(20261125);
    for (let turn = 0; turn < 200; turn++) {
      const policy = randomPolicy(random);
      const written = await load(policyText(policy));
      const recorded = await loadRecordedPolicy(written.text);
      expect(recorded.hash).toBe(written.hash);
      for (let ask = 0; ask < 20; ask++) {
        const request = randomRequest(random, policy);
        expect(decide(recorded, request)).toEqual(decide(written, request));
      }
    }
  });

  test.each([
    ["what rows and their ends are written in", '],["roles":[],"rules":[["a"]]}'],
    ["a backslash and a quote at its end", 'one \\"'],
    ["letters of other scripts, and beyond the first plane", "weil 因为 \u{1f511}".repeat(20)],
  ])("has its reasons as they were: with %s", async (_, reason) => {
    const quoted = `"${reason.replaceAll('"', '""')}"`;
    const entity = 'e, record:a, *, "{""model"":""x"",""roles"":[""y"",""],""]}"';
    const policy = [line("allow", "agt_1", "allow").replace("because", quoted), entity].join("\n");
    const { text, hash } = await load(policy);
    const recorded = await loadRecordedPolicy(text);
    expect(recorded.hash).toBe(hash);
    expect(decide(recorded, baseRequest)).toMatchObject({ effect: "allow", reason });
  });

  test("keeps its marks, and without one its text is as it was before there were any", async () => {
    const plain = await load(line("allow", "agt_1", "allow"));
    const marked = await load(`${line("allow", "agt_1", "allow")}\nm, two-person`);
    expect(plain.text).not.toContain("marks");
    expect(marked.hash).not.toBe(plain.hash);
    expect(await loadRecordedPolicy(marked.text)).toMatchObject({ hash: marked.hash, marks: ["two-person"] });
    expect((await loadRecordedPolicy(plain.text)).marks).toEqual([]);
  });

  test("of which a part is missing, or one too much, is refused", async () => {
    const { text } = await load(`${line("allow", "agt_1", "allow")}\ng, agt_1, team, acme`);
    for (const part of [
      text.slice(0, -1),
      text.slice(0, -9),
      text.replace('"rules"', '"lines"'),
      text.replace("]]}", "],]}"),
      text.replace('"team",', ""),
      text.replace('"team"', '"\\x"'),
      text.replace('"model"', '"marks":["another"],"model"'),
      text.replace("]]}", '],["a"]]}'),
      "{}",
      "no JSON",
      `${text} `,
    ])
      await expect(loadRecordedPolicy(part), part).rejects.toThrow(TypeError);
  });
});
