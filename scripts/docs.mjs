// Writes the reference of the API as the server serves it, for publishing: dist/docs/api.html and dist/docs/openapi.json, with
// the pages of docs/ that it and the error pages link to beside them.
// `npm run docs -- https://id.example.com` names the issuer.
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { nodeOperations } from "@countersign/sdk/contract/node-operations";
import { openApiDocument } from "@countersign/sdk/contract/openapi";
import { operations } from "@countersign/sdk/contract/operations";
import { errorTable } from "../dist/domain/error-table.js";
import { referencePage } from "../dist/http/reference/page.js";

const issuer = process.argv[2] ?? "http://127.0.0.1:8460";
const { version } = JSON.parse(readFileSync("package.json", "utf8"));
const described = [...operations, ...nodeOperations];
const document = openApiDocument({ issuer, version, operations: described, problems: errorTable });
const links = { openApi: "openapi.json", errorPage: (code) => `errors/${code}.md` };
rmSync("dist/docs", { recursive: true, force: true });
cpSync("docs", "dist/docs", { recursive: true });
writeFileSync("dist/docs/openapi.json", `${JSON.stringify(document, undefined, 2)}\n`);
writeFileSync("dist/docs/api.html", referencePage(document, links));
console.info(
  `dist/docs/api.html and dist/docs/openapi.json describe ${described.length} operations of ${issuer}`,
);
