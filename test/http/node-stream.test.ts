import { once } from "node:events";
import { createServer, get } from "node:http";
import type { AddressInfo } from "node:net";
import type { Response } from "express";
import { expect, it, onTestFinished } from "vitest";
import type { Node } from "../../src/domain/node.ts";
import type { NodeFaceDeps } from "../../src/http/node-deps.ts";
import { streamChanges } from "../../src/http/node-stream.ts";
import { createStreams } from "../../src/http/streams.ts";

it("a node that left before its stream was opened holds nothing of the server", async () => {
  let followers = 0;
  const nodes = {
    isStillNode: async () => true,
    follow: () => {
      followers++;
      return () => void followers--;
    },
  } as unknown as NodeFaceDeps["nodes"];
  const nodeStreams = createStreams({ perCallerMax: 1 });
  const node = { id: "nod_1" } as unknown as Node;
  const served = Promise.withResolvers<void>();
  const server = createServer((_, response) => {
    const stream = () =>
      streamChanges({ nodes, nodeStreams }, { node, certificate: undefined }, response as Response);
    once(response, "close").then(stream).then(served.resolve, served.reject);
  });
  onTestFinished(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const asked = get({ port: (server.address() as AddressInfo).port });
  asked.on("error", () => undefined);
  await once(server, "request");
  asked.destroy();
  await served.promise;
  expect(followers).toBe(0);
  nodeStreams.enter("nod_1").leave();
});
