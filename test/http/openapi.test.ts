import { execFileSync } from "node:child_process";
import { hash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { nodeOperations } from "@countersign/sdk/contract/node-operations";
import { openApiDocument } from "@countersign/sdk/contract/openapi";
import { operation } from "@countersign/sdk/contract/operation";
import { operations as ownOperations } from "@countersign/sdk/contract/operations";
import { errorCodes } from "@countersign/sdk/model/error-codes";
import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { errorTable } from "../../src/domain/error-table.ts";
import { referencePage } from "../../src/http/reference/page.ts";
import { openFace } from "./face.ts";

const operations = [...ownOperations, ...nodeOperations];
const request = { issuer: "https://id.example.com", version: "1.2.3", operations, problems: errorTable };
const document = openApiDocument(request);

describe("the OpenAPI document", () => {
  it("[API-001] is OpenAPI 3.1 by its own schema, and every reference in it leads somewhere", async () => {
    const { valid, errors } = await new Validator().validate({ ...document });
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
    const refs = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g);
    const named = [...refs].map(([, name]) => name ?? "");
    expect(named.length).toBeGreaterThan(operations.length);
    for (const name of named) expect(document.components.schemas, name).toHaveProperty([name]);
  });

  it("[API-001] has each operation once, with what it takes, answers and may be refused with", () => {
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId }]) => `${operationId} ${method} ${path}`),
    );
    expect(described.sort()).toEqual(operations.map((one) => `${one.name} ${one.method} ${one.path}`).sort());
    for (const { name, path, method, status = 200, body, params, query, anyOf, by } of operations) {
      const it = document.paths[path]?.[method];
      const bound = anyOf.length === 0 ? [{ bound: [] }] : anyOf.map((scope) => ({ bound: [scope] }));
      const tokenless = by === "node" ? [{ node: [] }] : [];
      expect(it?.security, name).toEqual(by === undefined ? bound : tokenless);
      expect(it?.requestBody !== undefined, name).toBe(body !== undefined);
      expect(Object.keys(it?.responses ?? {}), name).toEqual(
        expect.arrayContaining([
          String(status),
          ...(by === "anybody" ? [] : ["401", "403"]),
          ...["500", "503"],
        ]),
      );
      const places = new Set(it?.parameters.map((parameter) => parameter.in));
      expect([places.has("path"), places.has("query")], name).toEqual([
        params !== undefined,
        query !== undefined,
      ]);
    }
  });

  it("[API-001] says of every member what it may be: none is left open by mistake", () => {
    const open: string[] = [];
    const look = (value: unknown, at: string): void => {
      if (typeof value !== "object" || value === null) return;
      // A loose object says openly that it may have more members.
      if (Object.keys(value).length === 0 && !/\/(additionalProperties|default)$/.test(at)) open.push(at);
      for (const [name, member] of Object.entries(value)) look(member, `${at}/${name}`);
    };
    look(document.components.schemas, "");
    for (const methods of Object.values(document.paths))
      for (const { operationId, parameters } of Object.values(methods))
        for (const { name, schema } of parameters) look(schema, `/${operationId}/${name}`);
    expect(open).toEqual([]);
    const formats = [...JSON.stringify(document).matchAll(/"format":"([^"]+)"/g)].map(([, format]) => format);
    expect(new Set(formats)).toEqual(new Set(["date-time", "email", "uri"]));
    const id = { type: "string", maxLength: 64, pattern: "^usr_[0-7][0-9a-hjkmnp-tv-z]{25}$" };
    expect(document.components.schemas["User"]?.properties?.["id"]).toEqual(id);
    expect(document.components.schemas["CreateAgentRequest"]?.properties?.["owner"]).toEqual(id);
  });

  it("is refused for a schema that it can't name", () => {
    const answer = z.strictObject({ deep: z.json() });
    const strange = operation({
      name: "strange",
      method: "get",
      path: "/v1/strange",
      summary: "",
      anyOf: ["admin"],
      answer,
    });
    expect(() => openApiDocument({ ...request, operations: [strange] })).toThrow("needs a name");
  });
});

describe("the reference page", () => {
  it("[API-001] has an anchor for each operation and schema, and nothing that runs or is fetched", () => {
    const page = referencePage(document);
    for (const { name } of operations) expect(page).toContain(`<section id="${name}"`);
    for (const name of Object.keys(document.components.schemas))
      expect(page).toContain(`id="schema-${name}"`);
    const links = [...page.matchAll(/href="#([^"]+)"/g)].map(([, anchor]) => anchor);
    for (const anchor of links) expect(page).toContain(`id="${anchor}"`);
    expect(page).not.toMatch(/<script|<link|<img|\bsrc=|\bon\w+=|url\(|@import/);
  });

  it("[API-001] is published with all that it and the error pages link to", () => {
    execFileSync(process.execPath, ["scripts/docs.mjs", request.issuer]);
    const page = readFileSync("dist/docs/api.html", "utf8");
    const linked = [...page.matchAll(/href="([^"#][^"]*)"/g)].map(([, to]) => to ?? "");
    expect(new Set(linked)).toContain("openapi.json");
    expect(new Set(linked)).toContain("errors/conflict.md");
    for (const to of new Set(linked)) expect([to, existsSync(`dist/docs/${to}`)]).toEqual([to, true]);
    for (const code of errorCodes) {
      const text = readFileSync(`dist/docs/errors/${code}.md`, "utf8");
      for (const [, to = ""] of text.matchAll(/\]\(([^)#]+)/g))
        expect([code, to, existsSync(`dist/docs/errors/${to}`)]).toEqual([code, to, true]);
    }
  });

  it("shows what the document says as text, whatever it says", () => {
    const [first] = operations;
    if (first === undefined) throw new Error("no operation");
    const wicked = { ...first, summary: `<script>alert("1")</script>&` };
    const page = referencePage(openApiDocument({ ...request, operations: [wicked] }));
    expect(page).toContain("<p>&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;&#38;</p>");
  });
});

describe("a face", () => {
  let face: Awaited<ReturnType<typeof openFace>>;
  beforeAll(async () => {
    face = await openFace();
  });
  afterAll(() => face.close());

  it("[API-001] serves the document to everybody, names itself as the server, and lets it be kept", async () => {
    const response = await fetch(`${face.issuer}/v1/openapi.json`);
    const served = await response.json();
    expect(served).toEqual(
      JSON.parse(JSON.stringify(openApiDocument({ ...request, issuer: face.issuer, version: "0.0.0" }))),
    );
    expect(response.headers.get("cache-control")).toBe("public, max-age=300");
    const etag = response.headers.get("etag") ?? "";
    const again = await fetch(`${face.issuer}/v1/openapi.json`, { headers: { "if-none-match": etag } });
    expect([again.status, await again.text()]).toEqual([304, ""]);
  });

  it("[API-001] serves whatever the page links to", async () => {
    const at = `${face.issuer}/docs/api`;
    const links = [...(await (await fetch(at)).text()).matchAll(/href="([^"#][^"]*)"/g)];
    const targets = new Set(links.map(([, to = ""]) => new URL(to, at).href));
    expect(targets).toContain(`${face.issuer}/docs/errors/conflict`);
    expect(targets).toContain(`${face.issuer}/v1/openapi.json`);
    for (const target of targets) expect([target, (await fetch(target)).status]).toEqual([target, 200]);
  });

  it("[API-001] serves the page under a policy that allows its own style and nothing else", async () => {
    const response = await fetch(`${face.issuer}/docs/api`);
    const style = /<style>([^<]*)<\/style>/.exec(await response.text())?.[1] ?? "";
    const policy = response.headers.get("content-security-policy");
    expect(policy).toContain(`default-src 'none'; style-src 'sha256-${hash("sha256", style, "base64")}'`);
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
  });
});
