import { parseAudience, sameAudience, spellingsOf, withoutRootSlash } from "@countersign/sdk/model/audience";
import {
  type IdKind,
  idPrefixes,
  idTimeMs,
  newId,
  parseId,
  parseLogId,
  parseOrganizationId,
} from "@countersign/sdk/model/ids";
import { parseScope, scopeBeyond, scopeOf } from "@countersign/sdk/model/scope";
import {
  parseSpiffeId,
  parseTrustDomain,
  pathOf,
  principalOf,
  spiffeIdOf,
  trustDomainOf,
} from "@countersign/sdk/model/spiffe-id";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
const kinds = fc.constantFrom(...(Object.keys(idPrefixes) as IdKind[]));
const times = fc.integer({ min: 0, max: 2 ** 48 - 1 });

describe("ids", () => {
  test("[MOD-001] what is made is read back, and as no other kind", () => {
    fc.assert(
      fc.property(kinds, kinds, times, bytes, (kind, other, nowMs, random) => {
        const id = newId(kind, nowMs, random);
        expect(parseId(kind, id)).toBe(id);
        if (other !== kind) expect(parseId(other, id)).toBeUndefined();
      }),
    );
  });

  test("an id tells when it was made", () => {
    fc.assert(
      fc.property(kinds, times, bytes, (kind, nowMs, random) => {
        expect(idTimeMs(newId(kind, nowMs, random))).toBe(nowMs);
      }),
    );
  });

  test("ids sort by the time they were made", () => {
    fc.assert(
      fc.property(times, times, bytes, bytes, (one, other, random, more) => {
        fc.pre(one < other);
        expect(newId("agent", one, random) < newId("agent", other, more)).toBe(true);
      }),
    );
  });

  test.each(["", "agt_", "agt_0", "AGT_01hzy3v9k2m4n6p8q0r2t4v6x8", "agt_01HZY3V9K2M4N6P8Q0R2T4V6X8"])(
    "[MOD-001] %j is no agent id",
    (text) => expect(parseId("agent", text)).toBeUndefined(),
  );

  test("[MOD-001] neither a letter more nor a line end passes", () => {
    const id = newId("agent", 1, new Uint8Array(16));
    for (const text of [`${id}0`, `${id}\n`, ` ${id}`, id.slice(0, -1), `${id}\0`, id.replace(/0$/, "u")]) {
      expect(parseId("agent", text)).toBeUndefined();
    }
  });

  test("an id is not made of too little randomness", () => {
    expect(() => newId("agent", 1, new Uint8Array(15))).toThrow(RangeError);
  });

  test("[MOD-001] organization names are DNS labels, and none is called system", () => {
    for (const text of ["a", "default", "acme-2", "0".repeat(63)])
      expect(parseOrganizationId(text)).toBe(text);
    for (const text of ["", "system", "-a", "a-", "A", "a.b", "a/b", "a_b", "0".repeat(64), "a\n"]) {
      expect(parseOrganizationId(text)).toBeUndefined();
    }
    expect(parseLogId("system")).toBe("system");
    expect(parseLogId("../x")).toBeUndefined();
  });
});

describe("SPIFFE IDs", () => {
  test.each([
    "spiffe://td.example",
    "spiffe://td/a/b",
    "spiffe://a.b-c_d/X.y-z_0",
    "spiffe://td/...",
    "spiffe://td/a.",
  ])("reads %j", (text) => expect(parseSpiffeId(text)).toBe(text));

  test.each([
    "",
    "spiffe://",
    "spiffe:///a",
    "spiffe://td/",
    "spiffe://td//a",
    "spiffe://td/a/",
    "spiffe://TD/a",
    "SPIFFE://td/a",
    "spiffe://td/.",
    "spiffe://td/..",
    "spiffe://td/a/../b",
    "spiffe://td/%61",
    "spiffe://td:80/a",
    "spiffe://u@td/a",
    "spiffe://td/a?b",
    "spiffe://td/a#b",
    "spiffe://td/ä",
    "https://td/a",
    " spiffe://td/a",
    "spiffe://td/a\n",
    `spiffe://${"a".repeat(256)}`,
    `spiffe://td/${"a".repeat(2048)}`,
  ])("[MOD-001] refuses %j", (text) => expect(parseSpiffeId(text)).toBeUndefined());

  test("[MOD-001] a principal's ID names that principal, in its own trust domain only", () => {
    const here = parseTrustDomain("id.example");
    const elsewhere = parseTrustDomain("id.example.org");
    if (here === undefined || elsewhere === undefined) throw new Error("not trust domains");
    const organization = parseOrganizationId("acme");
    if (organization === undefined) throw new Error("not an organization");
    fc.assert(
      fc.property(fc.constantFrom("agent", "resource", "operator"), times, bytes, (kind, nowMs, random) => {
        const id = newId(kind, nowMs, random);
        const principal = principalOf(here, `spiffe://${here}/org/acme/${kind}/${id}`);
        if (principal === undefined) throw new Error("names nobody");
        expect(principal).toEqual({ kind, organization, id });
        expect(spiffeIdOf(here, principal)).toBe(`spiffe://${here}/org/acme/${kind}/${id}`);
        expect(principalOf(elsewhere, spiffeIdOf(here, principal))).toBeUndefined();
        expect(principalOf(here, `${spiffeIdOf(here, principal)}/x`)).toBeUndefined();
      }),
    );
    const id = newId("agent", 1, new Uint8Array(16));
    for (const path of [
      `org/acme/resource/${id}`,
      `org/acme/user/${id}`,
      `org/system/agent/${id}`,
      `agent/${id}`,
    ]) {
      expect(principalOf(here, `spiffe://${here}/${path}`)).toBeUndefined();
    }
  });
});

describe("audiences", () => {
  test.each([
    "https://mail.example",
    "https://mail.example/",
    "https://mail.example/a?b=c",
    "http://127.0.0.1:8460/v1",
    "http://[::1]:8460/v1",
    "urn:example:mail",
    "https://xn--bcher-kva.example/",
  ])("reads %j", (text) => expect(parseAudience(text)).toBe(text));

  test.each([
    "",
    "mail",
    "mail.example",
    "ftp://a/",
    "javascript:1",
    "https://",
    "https:///a",
    "https:/a",
    "https://a b/",
    "HTTPS://a/",
    "https://A.example/",
    "https://a:443/",
    "https://a:/",
    "https://a/./b",
    "https://a/../b",
    "https://a//b",
    "https://a/%61",
    "https://a/#",
    "https://a/b#c",
    "https://u@a/",
    "https://u:p@a/",
    "https://@a/",
    "https://a./",
    "https://a?",
    "https://a/?",
    "https://a?b",
    "https://0x7f.1/",
    "https://127.1/",
    "https://a\\b",
    "https://bücher.example/",
    "https://*.a/",
    "https://a/*",
    "https://a/\n",
    "urn:",
    "urn:a:",
    "urn:A:b",
    "urn:a:b?c",
    `https://a/${"b".repeat(512)}`,
  ])("[MOD-002] refuses %j", (text) => expect(parseAudience(text)).toBeUndefined());

  test("[MOD-002] what is read is its own URL, so no two spellings meet", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.webUrl({ withQueryParameters: true, withFragments: true }), fc.string()),
        (text) => {
          const audience = parseAudience(text);
          if (audience === undefined) return;
          expect(audience).toBe(text);
          expect([text, `${text}/`]).toContain(new URL(text).href);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("[MOD-002] only an origin is the same with and without its slash", () => {
    expect(sameAudience("https://a", "https://a/")).toBe(true);
    expect(withoutRootSlash("https://a/")).toBe("https://a");
    for (const uri of ["https://a", "https://a/"])
      expect(spellingsOf(uri)).toEqual(["https://a", "https://a/"]);
    for (const uri of ["https://a/b", "https://a/b/", "urn:a:b"]) expect(spellingsOf(uri)).toEqual([uri]);
    expect(sameAudience("https://a/b", "https://a/b/")).toBe(false);
    expect(sameAudience("https://a", "http://a")).toBe(false);
    expect(sameAudience("https://a", "https://A")).toBe(false);
    expect(sameAudience("https://a:8443", "https://a")).toBe(false);
  });
});

describe("scopes", () => {
  test("[MOD-005] a scope is the set of its tokens", () => {
    expect(parseScope("b a b")).toEqual(["a", "b"]);
    expect(parseScope("")).toEqual([]);
    for (const text of [" a", "a ", "a  b", 'a"', "a\\", "é", "a\tb", "a\n", "x".repeat(129)]) {
      expect(parseScope(text)).toBeUndefined();
    }
    expect(scopeOf(Array.from({ length: 65 }, (_, i) => `s${i}`))).toBeUndefined();
    expect(scopeOf(["a b"])).toBeUndefined();
  });

  test("[MOD-005] what is beyond a scope is exactly what it lacks", () => {
    const tokens = fc.array(fc.constantFrom("a", "A", "ab", "b")).map((list) => scopeOf(list) ?? []);
    fc.assert(
      fc.property(tokens, tokens, (wanted, granted) => {
        const beyond = new Set(scopeBeyond(wanted, granted));
        for (const token of wanted) expect(beyond.has(token)).toBe(!new Set(granted).has(token));
      }),
    );
  });
});

describe("the grammar of SPIFFE IDs", () => {
  const segment = fc.stringMatching(/^[a-zA-Z0-9._-]{1,20}$/).filter((text) => text !== "." && text !== "..");
  const trustDomain = fc.stringMatching(/^[a-z0-9._-]{1,40}$/);
  const made = fc
    .tuple(trustDomain, fc.array(segment, { maxLength: 6 }))
    .map(([domain, path]) => ({ domain, path: path.map((part) => `/${part}`).join("") }));

  test("[SPF-009] reads all that it makes, in its one spelling, and gives back its parts", () => {
    fc.assert(
      fc.property(made, ({ domain, path }) => {
        const id = parseSpiffeId(`spiffe://${domain}${path}`);
        expect(id).toBe(`spiffe://${domain}${path}`);
        if (id !== undefined) expect([trustDomainOf(id), pathOf(id)]).toEqual([domain, path]);
      }),
    );
  });

  test("[SPF-009] reads nothing into which one illegal character or shape has come", () => {
    const illegal = fc.constantFrom(
      ..."%?#@:[]!$&'()*+,;=~\\ \t\n\0é\u200b\u202e".split(""),
      "//",
      "/./",
      "/../",
    );
    fc.assert(
      fc.property(made, illegal, fc.nat(60), ({ domain, path }, odd, at) => {
        const rest = `${domain}${path}`;
        const place = at % (rest.length + 1);
        const text = `spiffe://${rest.slice(0, place)}${odd}${rest.slice(place)}`;
        expect(parseSpiffeId(text)).toBeUndefined();
      }),
    );
    for (const text of [
      "spiffe://example.org/",
      "spiffe:///a",
      "spiffe://",
      "SPIFFE://example.org/a",
      "spiffe:/example.org/a",
      "https://example.org/a",
      "spiffe://Example.org/a",
      `spiffe://${"a".repeat(256)}/b`,
      `spiffe://a/${"b".repeat(2048 - 10)}`,
    ]) {
      expect([text, parseSpiffeId(text)]).toEqual([text, undefined]);
    }
    expect(parseSpiffeId(`spiffe://${"a".repeat(255)}/b`)).toBeDefined();
    expect(parseSpiffeId(`spiffe://a/${"b".repeat(2048 - 11)}`)).toBeDefined();
  });
});
