import { isUtf8 } from "node:buffer";
import express, { type RequestHandler } from "express";
import { DomainError } from "../domain/domain-error.ts";

const ownBytesMax = 64 * 1024;
const depthMax = 16;

/**
 * Reads a JSON body of at most 64 KiB, or so many, and 16 levels into `request.body`. Compressed bodies are refused: a small one
 * could unpack to any size. So is a member `__proto__`: whoever copies an object drops it, and what was to be refused, or
 * to limit something, would be as if it had not been said.
 */
export function jsonBody(bodyBytesMax = ownBytesMax): RequestHandler {
  return express.json({
    limit: bodyBytesMax,
    inflate: false,
    type: ({ headers }) => isJsonType(headers["content-type"]),
    verify: (_request, _response, octets) => {
      // The parser would put other text in the place of what is none.
      if (!isUtf8(octets)) throw new DomainError("invalid_request", "the JSON is not UTF-8");
      if (nestingOf(octets) > depthMax)
        throw new DomainError("invalid_request", "the JSON is nested too deeply");
    },
    reviver: (name: string, value: unknown) => {
      // The parser takes it for an error of its own, and tells it as that.
      if (name === "__proto__") throw new SyntaxError("a member is named __proto__");
      return value;
    },
  });
}

/** RFC 8259, section 8.1. In another charset the parser would read another text than is checked here. */
function isJsonType(contentType = ""): boolean {
  return /^application\/json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?$/i.test(contentType);
}

/** How deeply arrays and objects are nested in a JSON text; found before anything is built from it. */
function nestingOf(json: Uint8Array): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < json.length; at++) {
    const char = json[at];
    if (inString) {
      if (char === 0x5c) at++;
      else if (char === 0x22) inString = false;
    } else if (char === 0x22) inString = true;
    else if (char === 0x7b || char === 0x5b) deepest = Math.max(deepest, ++depth);
    else if (char === 0x7d || char === 0x5d) depth--;
  }
  return deepest;
}
