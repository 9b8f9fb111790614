import { nodeOperations } from "@countersign/sdk/contract/node-operations";
import { openApiDocument } from "@countersign/sdk/contract/openapi";
import { pathOf } from "@countersign/sdk/contract/operation";
import { operations as ownOperations } from "@countersign/sdk/contract/operations";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { errorTable } from "../src/domain/error-table.ts";

const operations = [...ownOperations, ...nodeOperations];
const document = openApiDocument({
  issuer: "https://a.example",
  version: "0",
  operations,
  problems: errorTable,
});
const ajv = new Ajv2020({ strict: false, allErrors: true });
formats.default(ajv);
ajv.addSchema({ $id: "document", ...document });

const routes = operations.map((operation) => ({
  operation,
  pattern: new RegExp(`^${pathOf(operation, () => "[^/]+")}$`),
}));

/**
 * Holds an answer of a real server against what its published document says of that operation.
 *
 * @throws Error for a status, a type or a body that the document does not have
 */
export async function expectDescribed(method: string, path: string, response: Response): Promise<void> {
  const route = routes.find(
    ({ operation, pattern }) => operation.method === method.toLowerCase() && pattern.test(path),
  );
  if (route === undefined) return;
  const { name, path: template, method: verb } = route.operation;
  const described = document.paths[template]?.[verb]?.responses[response.status];
  if (described === undefined) throw new Error(`${name} answers ${response.status}, which is not described`);
  const types = Object.keys(described.content ?? {});
  if (types.length === 0) return;
  const sentType = response.headers.get("content-type") ?? "none";
  const type = types.find((one) => sentType.startsWith(one));
  if (type === undefined) throw new Error(`${name} answers ${sentType}, not ${types.join(" or ")}`);
  // A stream has no end to wait for; who follows it holds each event against its schema.
  if (type === "text/event-stream") return;
  const at = ["paths", template, verb, "responses", String(response.status), "content", type, "schema"];
  const validate = ajv.getSchema(`document#/${at.map(pointed).join("/")}`);
  if (validate === undefined) throw new Error(`${name} has no schema for ${response.status}`);
  const body: unknown = await response.json();
  if (!validate(body)) throw new Error(`${name} ${response.status}: ${ajv.errorsText(validate.errors)}`);
}

/** A step of a JSON pointer in a URI. @see RFC 6901, section 6 */
function pointed(step: string): string {
  return encodeURIComponent(step.replaceAll("~", "~0").replaceAll("/", "~1"));
}
