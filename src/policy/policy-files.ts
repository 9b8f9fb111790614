import { readFile } from "node:fs/promises";

/** The texts of a folder like policies/. */
export interface PolicyFiles {
  readonly model: string;
  readonly policy: string;
  readonly cases: string;
}

// The same way up from src/policy and from dist/policy.
const shipped = new URL("../../policies/", import.meta.url);

/** Reads the model, and the default policy with its decision table that Countersign ships with; or the example. */
export async function readShippedPolicy(name: "default" | "example" = "default"): Promise<PolicyFiles> {
  const read = (name: string) => readFile(new URL(name, shipped), "utf8");
  const [model, policy, cases] = await Promise.all([
    read("model.conf"),
    read(`${name}.csv`),
    read(name === "default" ? "cases.yaml" : `${name}-cases.yaml`),
  ]);
  return { model, policy, cases };
}
