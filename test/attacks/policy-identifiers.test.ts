import { parseAudience } from "@countersign/sdk/model/audience";
import { parseEntityName } from "@countersign/sdk/model/entity";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DecisionRequest, malformedRequest } from "../../src/domain/decision.ts";
import { checkPolicy } from "../../src/policy/check.ts";
import { decide } from "../../src/policy/decide.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy, type PolicySnapshot } from "../../src/policy/snapshot.ts";
import { baseRequest } from "../policy/base-request.ts";
import { policyText } from "../policy/random-policy.ts";

// What can be tried with an identifier that looks like another, or that some reader takes for it, held against policies.
const issuer = "https://id.example";
const { model } = await readShippedPolicy();

/** What turns an identifier into another text that somebody might take for it. */
const attacks: Readonly<Record<string, (text: string) => string>> = {
  capitals: (text) => text.toUpperCase(),
  "one capital": (text) => text.replace(/[a-z](?=[^a-z]*$)/, (letter) => letter.toUpperCase()),
  "a Cyrillic letter": (text) =>
    text.replace(/[aeo]/, (letter) => ({ a: "а", e: "е", o: "о" })[letter] ?? ""),
  "a letter of full width": (text) => text.replace(/[a-z]/, (letter) => wide(letter)),
  "a sign of full width": (text) => text.replace(/[./:_-]|$/, (sign) => (sign === "" ? "．" : wide(sign))),
  "a dotless i": (text) => text.replace(/i|$/, "ı"),
  "a Kelvin sign": (text) => text.replace(/k|$/, "\u212a"),
  "a letter with its accent": (text) => text.replace(/e|$/, "\u00e9"),
  "a letter and its accent": (text) => text.replace(/e|$/, "e\u0301"),
  "a climb at the end": (text) => `${text}/x/..`,
  "a climb within": (text) => text.replace(/(?<=[a-z0-9])(?=[a-z0-9]*$)/, "/../"),
  "a dot segment at the end": (text) => `${text}/.`,
  "a dot segment at the beginning": (text) => `./${text}`,
  "an encoded dot": (text) => `${text}%2e`,
  "an encoded slash": (text) => `${text}%2f`,
  "an encoded letter": (text) => text.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  "an encoding of an encoding": (text) => `${text}%252e`,
  "a slash twice": (text) => text.replace(/\/(?=[^/]*$)|$/, "//"),
  "a slash at the end": (text) => `${text}/`,
  "a dot at the end": (text) => `${text}.`,
  "a colon at the end": (text) => `${text}:`,
  "a NUL at the end": (text) => `${text}\0`,
  "a NUL within": (text) => `${text.slice(0, 2)}\0${text.slice(2)}`,
  "a backslash at the end": (text) => `${text}\\`,
  "a backslash for a slash": (text) => text.replace(/\/|$/, "\\"),
  "a wildcard for its end": (text) => `${text.slice(0, -1)}*`,
  "a wildcard behind it": (text) => `${text}*`,
  "a wildcard below it": (text) => `${text}/**`,
  "a wildcard within": (text) => `${text.slice(0, 1)}*${text.slice(2)}`,
  "an override of the reading direction": (text) => `\u202e${[...text].reverse().join("")}\u202c`,
  "an isolate": (text) => `\u2066${text}\u2069`,
  "a space of no width": (text) => `${text.slice(0, 1)}\u200b${text.slice(1)}`,
  "a soft hyphen": (text) => `${text}\u00ad`,
  "a mark of byte order": (text) => `\ufeff${text}`,
  "a blank before it": (text) => ` ${text}`,
  "a blank behind it": (text) => `${text} `,
  "a blank that does not break": (text) => `${text}\u00a0`,
  "a tab": (text) => `${text}\t`,
  "the end of a line": (text) => `${text}\n`,
  "another line": (text) => `${text}\np, two, *, *, *, *, *, *, *, allow, injected`,
  "another field": (text) => `${text}, *`,
  quotes: (text) => `"${text}"`,
  "a lone surrogate": (text) => `${text}\ud800`,
  "a query": (text) => `${text}?`,
  "a fragment": (text) => `${text}#`,
  "2,049 characters": (text) => text.padEnd(2049, "x"),
  "its beginning": (text) => text.slice(0, -1),
  nothing: () => "",
};

function wide(character: string): string {
  return String.fromCharCode(character.charCodeAt(0) + 0xfee0);
}

interface Identifier {
  readonly value: string;
  /** The lines that allow what is asked with the value, and nothing else, where they are written with it. */
  readonly lines: (value: string) => Lines;
  readonly ask: (value: string) => DecisionRequest;
}

const fieldNames = ["dom", "sub", "rel", "obj", "act", "scope", "when"] as const;
const none = { rules: [], assignments: [], entities: [] };

function rule(fields: Partial<Record<(typeof fieldNames)[number], string>>, effect = "allow") {
  return [`one-${effect}`, ...fieldNames.map((name) => fields[name] ?? "*"), effect, "because"];
}

/** An attacker's text stands where the types allow none: whoever asks over a wire has no types. */
function asked(change: Partial<Record<keyof DecisionRequest, unknown>>): DecisionRequest {
  return { ...baseRequest, ...change } as DecisionRequest;
}

function field(name: (typeof fieldNames)[number], of: keyof DecisionRequest, value: string): Identifier {
  return {
    value,
    lines: (text) => ({ ...none, rules: [rule({ [name]: text })] }),
    ask: (text) => asked({ [of]: text }),
  };
}

const team = rule({ sub: "team-kiel" });
const open = rule({ when: "resource.state=like-new" });
const identifiers: Readonly<Record<string, Identifier>> = {
  "an organization": field("dom", "organization", "acme-kiel"),
  "a subject": field("sub", "subject", "agt_01jdkeio"),
  "a subject by its SPIFFE ID": field("sub", "subject", "spiffe://id.example/org/acme/agent/agt_01jdkeio"),
  "a role": {
    value: "team-kiel",
    lines: (text) => ({ ...none, rules: [rule({ sub: text })] }),
    ask: (text) => asked({ roles: ["agent", text] }),
  },
  "whom a role is assigned to": {
    value: "agt_01jdkeio",
    lines: (text) => ({ ...none, rules: [team], assignments: [[text, "team-kiel", "acme"]] }),
    ask: (text) => asked({ subject: text }),
  },
  "where a role is assigned": {
    value: "acme-kiel",
    lines: (text) => ({ ...none, rules: [team], assignments: [["agt_1", "team-kiel", text]] }),
    ask: (text) => asked({ organization: text }),
  },
  "a role that is assigned": {
    value: "team-kiel",
    lines: (text) => ({ ...none, rules: [team], assignments: [["agt_1", text, "acme"]] }),
    ask: () => baseRequest,
  },
  "a relation": field("rel", "relation", "delegated"),
  "a resource": field("obj", "resource", "https://files.example/kiel/home"),
  "a resource that is a URN": field("obj", "resource", "urn:example:kiel"),
  "an action": field("act", "action", "token.exchange"),
  "a scope": field("scope", "scope", "mail.kiel:read/home"),
  "what a resource server guards": field("obj", "resource", "file:/home/kiel/a.txt"),
  "an entity": {
    value: "record:kiel/record-1",
    lines: (text) => ({
      ...none,
      rules: [open],
      entities: [[text, "acme", JSON.stringify({ state: "like-new" })]],
    }),
    ask: (text) => asked({ resource: text }),
  },
  "the text of an attribute": {
    value: "like-new",
    lines: (text) => ({ ...none, rules: [rule({ when: `resource.state=${text}` })] }),
    ask: (text) => asked({ attributes: { "resource.state": text } }),
  },
  "the name of an attribute": {
    value: "resource.like",
    lines: (text) => ({ ...none, rules: [rule({ when: `${text}=new` })] }),
    ask: (text) => asked({ attributes: { [text]: "new" } }),
  },
};

type Lines = Parameters<typeof policyText>[0];

/** A policy in which every field is quoted: blanks and ends of lines at its edges are its own. */
function quotedText({ rules, assignments, entities }: Lines): string {
  const line = (row: readonly string[]) => row.map((text) => `"${text.replaceAll('"', '""')}"`).join(",");
  return [
    ...rules.map((row) => `p,${line(row)}`),
    ...assignments.map((row) => `g,${line(row)}`),
    ...entities.map((row) => `e,${line(row)}`),
  ].join("\n");
}

/** What a policy says, or undefined for one that is refused. */
async function load(lines: Lines, textOf = policyText): Promise<PolicySnapshot | undefined> {
  const source = { model, policy: textOf(lines), issuer };
  return checkPolicy(source).length === 0 ? loadPolicy(source) : undefined;
}

function isAllowed(snapshot: PolicySnapshot | undefined, request: DecisionRequest): boolean {
  return snapshot !== undefined && decide(snapshot, request).effect === "allow";
}

const isPlain = (text: string) => /^[!-~]{1,2048}$/.test(text) && !text.includes("*");

describe.each(Object.entries(identifiers))("[POL-022] %s", (name, { value, lines, ask }) => {
  const isCompared = name.endsWith("attribute");
  const others = Object.entries(attacks)
    .map(([attack, change]) => ({ attack, text: change(value) }))
    .filter(({ text }) => text !== value);

  test("that is written in its one spelling allows what is asked in that spelling, and in none that is like it", async () => {
    const snapshot = await load(lines(value));
    expect(isAllowed(snapshot, ask(value))).toBe(true);
    // What is asked of the role that a line assigns is the subject.
    const spoken = others.filter(({ text }) => ask(text) !== ask(value));
    const granted = spoken.filter(({ text }) => isAllowed(snapshot, ask(text)));
    expect(granted).toEqual([]);
  });

  test("that is written in another spelling is refused, or allows nothing to the one that it is like", async () => {
    const granting: string[] = [];
    for (const { attack, text } of others) {
      // Beside an operator a blank is none of the name nor of the text.
      if (isCompared && text.trim() === value && /^ | $/.test(text)) continue;
      const written = await load(lines(text), quotedText);
      // Without quotes, what stands behind the end of a line is another line.
      const bare = text.includes("\n") ? undefined : await load(lines(text));
      if (isAllowed(written, ask(value)) || isAllowed(bare, ask(value))) granting.push(attack);
    }
    expect(granting).toEqual([]);
  });

  test("is never met by any few of these changes one after the other", async () => {
    const snapshot = await load(lines(value));
    const changes = fc.array(fc.constantFrom(...Object.values(attacks)), { minLength: 2, maxLength: 4 });
    fc.assert(
      fc.property(changes, (several) => {
        const text = several.reduce((changed, change) => change(changed), value);
        return ask(text) === ask(value) || text === value || !isAllowed(snapshot, ask(text));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("[POL-022] where a line allows everything", () => {
  test("what is no identifier is denied all the same, before any line is read", async () => {
    const snapshot = await load({ ...none, rules: [rule({})] });
    if (snapshot === undefined) throw new Error("the policy was refused");
    for (const { value, ask } of Object.values(identifiers)) {
      for (const [attack, change] of Object.entries(attacks)) {
        const { organization, subject, roles, resource, scope, ...others } = ask(change(value));
        const values = [organization, subject, ...roles, resource, scope, others.relation, others.action];
        const decision = decide(snapshot, ask(change(value)));
        const expected = values.every(isPlain) ? "one-allow" : malformedRequest;
        expect([attack, decision.rule]).toEqual([attack, expected]);
      }
    }
  });

  test("a denial by a text is not passed by one that only looks like it to a reader", async () => {
    const snapshot = await load({
      ...none,
      rules: [rule({}), rule({ when: "subject.standing=like-banned" }, "deny")],
    });
    for (const [attack, change] of Object.entries(attacks)) {
      const text = change("like-banned");
      const isSpelled = /^[ -~]*$/.test(text) && text.trim() === text;
      const request = asked({ attributes: { "subject.standing": text } });
      expect([attack, isAllowed(snapshot, request)]).toEqual([attack, isSpelled]);
    }
  });
});

describe("[POL-022] where a line has a wildcard", () => {
  const wildcards: readonly (readonly [pattern: string, value: string])[] = [
    ["https://files.example/**", "https://files.example/kiel/home"],
    ["https://files.example/kiel/*", "https://files.example/kiel/home"],
    ["urn:example:kiel/*", "urn:example:kiel/home"],
    ["file:/home/**", "file:/home/kiel/a.txt"],
    ["record:kiel/*", "record:kiel/record-1"],
  ];

  test.each(wildcards)("%s: what it covers is a name in its one spelling", async (pattern, value) => {
    const snapshot = await load({ ...none, rules: [rule({ obj: pattern })] });
    expect(isAllowed(snapshot, asked({ resource: value }))).toBe(true);
    const granted = Object.values(attacks)
      .map((change) => change(value))
      .filter((text) => isAllowed(snapshot, asked({ resource: text })));
    const noNames = granted.filter(
      (text) => parseAudience(text) === undefined && parseEntityName(text) === undefined,
    );
    expect(noNames).toEqual([]);
  });

  test.each([
    ["mail.**", "mail.kiel.read"],
    ["repo:**", "repo:kiel:read"],
    ["files/*", "files/home"],
  ])("the scope %s: it covers nothing that leads elsewhere", async (pattern, value) => {
    const snapshot = await load({ ...none, rules: [rule({ scope: pattern })] });
    expect(isAllowed(snapshot, asked({ scope: value }))).toBe(true);
    for (const [attack, change] of Object.entries(attacks)) {
      const text = change(value);
      if (!isAllowed(snapshot, asked({ scope: text }))) continue;
      expect([attack, text]).toEqual([attack, expect.stringMatching(/^[!-~]+$/)]);
      expect([attack, text]).toEqual([attack, expect.not.stringMatching(/[*%\\?#]|[.:/]{2}|[.:/]$/)]);
    }
  });
});
