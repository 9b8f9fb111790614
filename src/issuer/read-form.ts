import type { IncomingMessage } from "node:http";
import { parse } from "node:querystring";

/** Octets of a request's body at the most; the library itself would read no more. */
const bodyBytesMax = 56 * 1024;
const parametersMax = 64;
// The library clones an assertion's claims, which fails for some thousand levels of nesting: those need more room.
const assertionCharsMax = 4096;

/** Why a body is no form that the issuer reads. */
export type FormFault = "too_large" | "malformed" | "aborted";

/**
 * Reads the body of a form and checks its shape, before anything interprets it.
 *
 * @returns the body as it came; or `too_large`; or `malformed` for another content type, broken percent-encoding,
 *   text that is not UTF-8, control characters, more than 64 parameters, or a client assertion of more than 4096
 *   characters; or `aborted` when the caller went away
 * @see RFC 6749, appendix B
 */
export async function readForm(req: IncomingMessage): Promise<Buffer | FormFault> {
  if (Number(req.headers["content-length"] ?? 0) > bodyBytesMax) return "too_large";
  const body = await readBody(req);
  if (typeof body === "string") return body;
  return body.length === 0 || (isFormType(req.headers["content-type"]) && isForm(body.toString("latin1")))
    ? body
    : "malformed";
}

function readBody(req: IncomingMessage): Promise<Buffer | FormFault> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    req.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > bodyBytesMax) resolve("too_large");
      else chunks.push(chunk);
    });
    req.on("end", () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
    req.on("error", () => resolve("aborted"));
    req.on("close", () => resolve("aborted"));
  });
}

/** A charset other than UTF-8 would make the library read other parameters than were checked here. */
function isFormType(contentType = ""): boolean {
  return /^application\/x-www-form-urlencoded[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?$/i.test(contentType);
}

function isForm(text: string): boolean {
  // Raw octets a form never has, and encoded control characters: NUL above all, which no database column takes.
  if (/[^\x20-\x7e]|%(?:[01][0-9a-f]|7f)/i.test(text)) return false;
  if (text.split("&", parametersMax + 1).length > parametersMax) return false;
  try {
    decodeURIComponent(text);
    return text.length <= assertionCharsMax || !hasLongAssertion(text);
  } catch {
    // Broken percent-encoding, or octets that are not UTF-8: that is the answer.
    return false;
  }
}

function hasLongAssertion(text: string): boolean {
  return [parse(text)["client_assertion"] ?? []]
    .flat()
    .some((assertion) => assertion.length > assertionCharsMax);
}
