import { readFile } from "node:fs/promises";
import { errorCodes } from "@countersign/sdk/model/error-codes";
import type { Router } from "express";
import { found } from "../found.ts";

/** `/docs/errors/:code`: the page that a problem's `type` points to, as Markdown. The pages name each other as files. */
export function mountErrorPages(router: Router): void {
  const pages = new URL("../../../docs/errors/", import.meta.url);
  router.get("/docs/errors/:code", async (request, response) => {
    const asked = request.params.code.replace(/\.md$/, "");
    const code = found(errorCodes.find((known) => known === asked));
    const page = await readFile(new URL(`${code}.md`, pages), "utf8").catch(() => undefined);
    response.type("text/markdown; charset=utf-8").send(found(page));
  });
}
