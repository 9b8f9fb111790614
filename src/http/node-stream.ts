import type { NodeChange } from "@countersign/sdk/contract/node-face";
import type { Response } from "express";
import type { Node } from "../domain/node.ts";
import type { NodeFaceDeps } from "./node-deps.ts";

/** Who has so much unread is cut: it asks for everything when it comes again. */
const unreadBytesMax = 1_000_000;

/**
 * Answers with the changes that are of a node as server-sent events, until it leaves, is evicted, or the server stops. The
 * first event says that anything may have changed: whatever was before the stream is for the node to ask.
 *
 * @throws DomainError as Streams.enter does
 * @see WHATWG HTML, section 9.2
 */
export async function streamChanges(
  { nodes, nodeStreams }: NodeFaceDeps,
  node: Node,
  response: Response,
): Promise<void> {
  const place = nodeStreams.enter(node.id);
  const ended = new Promise<void>((resolve) => {
    response.once("close", resolve);
    place.stopping.addEventListener("abort", () => resolve(), { once: true });
    if (place.stopping.aborted) resolve();
    response.writeHead(200, {
      "content-type": "text/event-stream",
      // A proxy would hold events back; and the connection is of no further use.
      "x-accel-buffering": "no",
      connection: "close",
    });
    const tell = (change: NodeChange | "ended") => {
      if (change === "ended") return resolve();
      if (response.writableLength > unreadBytesMax) return void response.destroy();
      response.write(`event: change\ndata: ${JSON.stringify(change)}\n\n`);
    };
    const stop = nodes.follow(node, tell);
    const comments = setInterval(() => response.write(":\n\n"), nodeStreams.limits.commentEveryMs);
    response.once("close", () => {
      clearInterval(comments);
      stop();
    });
    tell({ ids: [], bundles: true, lost: true });
  });
  await ended;
  place.leave();
  response.end();
}
