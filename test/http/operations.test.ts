import { authorizeAction } from "@countersign/sdk/contract/actions";
import { nodeOperations } from "@countersign/sdk/contract/node-operations";
import { type Operation, pathOf } from "@countersign/sdk/contract/operation";
import { operations } from "@countersign/sdk/contract/operations";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { createRouter, type HttpFaceDeps } from "../../src/http/http-face.ts";
import { openFace, refusing } from "./face.ts";

const methodOf = ({ method }: Operation) => method.toUpperCase();
const routeOf = (operation: Operation) => pathOf(operation, (name) => `:${name}`);
const sorted = (texts: readonly string[]) => [...texts].sort();

describe("the table of operations", () => {
  it("holds every route below /v1, each once, and none but their description", () => {
    const routes = createRouter(refusing<HttpFaceDeps>({})).stack.flatMap(({ route, name }) => {
      // What is no route could serve anything.
      if (route === undefined) throw new Error(`${name} is mounted, and is no route`);
      // One that reads a body first has two handlers.
      return [...new Set(route.stack.map(({ method }) => `${method} ${route.path}`))];
    });
    const below = routes.filter((route) => route.includes(" /v1"));
    const described = [...operations, ...nodeOperations].map((one) => `${one.method} ${routeOf(one)}`);
    expect(sorted(below)).toEqual(sorted([...described, "get /v1/openapi.json"]));
  });

  it("names each once, and in its path what it takes there", () => {
    expect(new Set(operations.map(({ name }) => name)).size).toBe(operations.length);
    for (const operation of operations) {
      const inPath: string[] = [];
      pathOf(operation, (name) => `${inPath.push(name)}`);
      const { params } = operation;
      expect(params instanceof z.ZodObject ? Object.keys(params.shape) : [], operation.name).toEqual(inPath);
    }
  });
});

describe("an operation", () => {
  let face: Awaited<ReturnType<typeof openFace>>;
  beforeAll(async () => {
    face = await openFace();
  });
  afterAll(() => face.close());

  it.each(operations.map((operation) => [operation.name, operation] as const))(
    "%s answers nobody without a token, nor one whose token has none of its scopes",
    async (_name, operation) => {
      const path = pathOf(operation, () => "any");
      const method = methodOf(operation);
      expect((await fetch(`${face.issuer}${path}`, { method })).status).toBe(401);
      // What is called under the token that it is about has no scope of its own.
      if (operation.anyOf.length === 0) return expect(operation).toBe(authorizeAction);
      const stranger = await face.callerWith("none_of_them");
      expect((await stranger.send(method, path)).status).toBe(403);
      expect(face.refused.at(-1)).toMatchObject({ endpoint: `${method} ${routeOf(operation)}` });
    },
  );
});
