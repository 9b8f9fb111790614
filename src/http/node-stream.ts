import type { X509Certificate } from "node:crypto";
import type { NodeChange } from "@countersign/sdk/contract/node-face";
import type { Response } from "express";
import type { Node } from "../domain/node.ts";
import type { NodeFaceDeps } from "./node-deps.ts";

/** Who has so much unread is cut: it asks for everything when it comes again. */
const unreadBytesMax = 1_000_000;

export interface StreamedNode {
  readonly node: Node;
  /** By which it was let in. */
  readonly certificate: X509Certificate | undefined;
}

/**
 * Answers with the changes that are of a node as server-sent events, until it leaves, is evicted, shows an SVID that has
 * ended or is spent by now, or the server stops: it is looked at again every few seconds, and whenever news may have been
 * lost. The first event says that anything may have changed: whatever was before the stream is for the node to ask.
 *
 * @throws DomainError as Streams.enter does
 * @see WHATWG HTML, section 9.2
 */
export async function streamChanges(
  { nodes, nodeStreams }: Pick<NodeFaceDeps, "nodes" | "nodeStreams">,
  { node, certificate }: StreamedNode,
  response: Response,
): Promise<void> {
  const place = nodeStreams.enter(node.id);
  const ends: (() => void)[] = [place.leave];
  const ended = new Promise<void>((resolve) => {
    response.once("close", resolve);
    place.stopping.addEventListener("abort", () => resolve(), { once: true });
    // Whoever has left by now is not told of once more.
    if (place.stopping.aborted || response.destroyed) resolve();
    response.writeHead(200, {
      "content-type": "text/event-stream",
      // A proxy would hold events back; and the connection is of no further use.
      "x-accel-buffering": "no",
      connection: "close",
    });
    const look = () =>
      void nodes.isStillNode(certificate).then(
        (isStill) => isStill || resolve(),
        // Who can't be looked at now comes again.
        () => resolve(),
      );
    const tell = (change: NodeChange | "ended") => {
      if (change === "ended") return resolve();
      if (response.writableLength > unreadBytesMax) return void response.destroy();
      response.write(`event: change\ndata: ${JSON.stringify(change)}\n\n`);
      if (change.lost) look();
    };
    ends.push(nodes.follow(node, tell));
    const comments = setInterval(() => {
      response.write(":\n\n");
      look();
    }, nodeStreams.limits.commentEveryMs);
    const lifetimeMs = Date.parse(certificate?.validTo ?? "") - Date.now();
    const end = setTimeout(resolve, Math.max(lifetimeMs || 0, 0));
    ends.push(() => clearInterval(comments));
    ends.push(() => clearTimeout(end));
  });
  try {
    await ended;
  } finally {
    for (const end of ends) end();
    response.end();
  }
}
