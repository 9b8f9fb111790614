import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import type { NodeOptions } from "../../src/app/run-node.ts";
import type { Config } from "../../src/config.ts";
import { run } from "./cli.ts";

const directory = mkdtempSync(join(tmpdir(), "countersign-kubernetes-"));
afterAll(() => rmSync(directory, { recursive: true }));

const example = fileURLToPath(new URL("../../spiffe/examples/kubernetes.yaml", import.meta.url));
const daemonSet = z.looseObject({
  kind: z.literal("DaemonSet"),
  spec: z.looseObject({
    template: z.looseObject({
      spec: z.looseObject({
        hostPID: z.literal(true),
        enableServiceLinks: z.literal(false),
        containers: z.tuple([
          z.looseObject({
            args: z.array(z.string()),
            volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })),
            securityContext: z.looseObject({ privileged: z.literal(true), runAsUser: z.literal(0) }),
          }),
        ]),
        volumes: z.array(z.looseObject({ name: z.string() })),
      }),
    }),
  }),
});

/** The options that a node is run with; never runs one. */
async function optionsOf(words: readonly string[]) {
  const seen: NodeOptions[] = [];
  const runNode = async (options: NodeOptions) => {
    seen.push(options);
    throw new Error("no node in this test");
  };
  const { exit, err } = await run(words, {}, { runNode });
  return { exit, err, options: seen[0] };
}

const node = ["node", "run", "--server", "https://id.example.com:8461"];

describe("a node in a cluster", () => {
  it("[NOD-060] is run by the example, with its token read anew for each join", async () => {
    const documents = parseAllDocuments(readFileSync(example, "utf8")).map((one) => one.toJS());
    const { spec } = daemonSet.parse(documents.at(-1)).spec.template;
    const [{ args, volumeMounts }] = spec.containers;
    expect(volumeMounts.map(({ name }) => name)).toEqual(spec.volumes.map(({ name }) => name));
    for (const path of args.flatMap((arg) => /=(\/(?!var\/run\/secrets)[^/]+.*)$/.exec(arg)?.[1] ?? []))
      expect(volumeMounts.some(({ mountPath }) => path.startsWith(mountPath))).toBe(true);
    const token = join(directory, "token");
    const words = args
      .filter((arg) => !arg.startsWith("--trust-bundle="))
      .map((arg) => arg.replace("/token/token", token).replace("$(HOST_IP)", "192.0.2.7"));
    const { options, err } = await optionsOf(words);
    expect(options?.kubelet, err).toMatchObject({ url: "https://192.0.2.7:10250" });
    for (const now of ["first", "second"]) {
      writeFileSync(token, `${now}\n`);
      // Neither asks the server anything.
      const evidence = options?.evidence?.(undefined as never, new Uint8Array());
      expect(await evidence).toEqual({ kind: "k8s_psat", token: now });
    }
  });

  it.each([
    ["--k8s-token t --join-token j", "one of them"],
    ["--k8s-token t --x509pop-cert c --x509pop-key k", "one of them"],
    ["--join-token j --kubelet http://192.0.2.7:10255", "--kubelet"],
    ["--join-token j --kubelet nowhere", "--kubelet"],
    ["--join-token j --kubelet-ca ca.pem", "--kubelet"],
    ["--join-token j --kubelet https://localhost:10250 --kubelet-cert c", "given together"],
  ])("[NOD-060] is not run with %s", async (words, told) => {
    const { exit, err, options } = await optionsOf([...node, ...words.split(" ")]);
    expect([exit, options]).toEqual([2, undefined]);
    expect(err).toContain(told);
  });
});

it("[ENT-040] a server asks the kubelet that it is told of", async () => {
  const seen: Config[] = [];
  const startApp = async (config: Config) => {
    seen.push(config);
    throw new Error("no server in this test");
  };
  const words = [
    "--kubelet",
    "https://localhost:10250",
    "--kubelet-token",
    "t",
    "--kubelet-cgroup-root",
    "/k",
  ];
  await run(["serve", ...words], {}, { startApp });
  await run(["serve"], {}, { startApp });
  expect(seen.map(({ kubelet }) => kubelet)).toEqual([
    { url: "https://localhost:10250", tokenFile: "t", cgroupRoot: "/k" },
    undefined,
  ]);
  expect((await run(["serve", "--kubelet-ca", "ca.pem"], {}, { startApp })).exit).toBe(2);
});
