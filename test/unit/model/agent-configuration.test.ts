import {
  agentChecksum,
  attestedChecksum,
  checksumSelector,
  parseAgentChecksum,
  parseAgentConfiguration,
} from "@countersign/sdk/model/agent-configuration";
import type { Selector } from "@countersign/sdk/model/selector";
import { describe, expect, it } from "vitest";
import { sha256 } from "../../../src/ledger/sha256.ts";

const [a, b] = ["a".repeat(64), "b".repeat(64)] as const;
const configuration = { model: "model-1", prompt_sha256: a, tools_sha256: b };

describe("an agent's checksum", () => {
  it("[CHK-001] is the SHA-256 of what RFC 8785 makes of its configuration, by either hash", () => {
    // printf '{"model":"model-1","prompt_sha256":"aa…","tools_sha256":"bb…"}' | sha256sum
    const expected = "1a48bf808c35abe60fbc521ef8a727522b4f444d9a99582f9809adfca5cac4a2";
    expect(agentChecksum(configuration)).toBe(expected);
    expect(agentChecksum(configuration, sha256)).toBe(expected);
    expect(agentChecksum({ tools_sha256: b, prompt_sha256: a, model: "model-1" })).toBe(expected);
  });

  it("[CHK-001] has one spelling", () => {
    expect(parseAgentChecksum(a)).toBe(a);
    for (const other of ["", a.slice(1), `${a}0`, a.toUpperCase(), ` ${a.slice(1)}`, `${a}\n`])
      expect(parseAgentChecksum(other), other).toBeUndefined();
  });

  it("[CHK-003] is attested where one was found, and none where several were", () => {
    const one = parseAgentChecksum(a) ?? expect.unreachable();
    const other = parseAgentChecksum(b) ?? expect.unreachable();
    const uid = "unix:uid:1" as Selector;
    expect(attestedChecksum([uid, checksumSelector(one), checksumSelector(one)])).toBe(a);
    expect(attestedChecksum([uid])).toBeUndefined();
    expect(attestedChecksum([checksumSelector(one), checksumSelector(other)])).toBeUndefined();
    expect(attestedChecksum([`agent_checksum:${a}0` as Selector])).toBeUndefined();
  });
});

describe("[CHK-001] a configuration", () => {
  it("is what it says, whatever the order", () => {
    const { model, ...rest } = configuration;
    expect(parseAgentConfiguration({ ...rest, model })).toEqual(configuration);
  });

  it.each<[string, unknown]>([
    ["no object", null],
    ["a list", [configuration]],
    ["a member too few", { model: "m", prompt_sha256: a }],
    ["a member too many", { ...configuration, temperature: 1 }],
    ["a member of another kind", { ...configuration, model: 1 }],
    ["a hash in upper case", { ...configuration, tools_sha256: b.toUpperCase() }],
    ["a hash cut short", { ...configuration, prompt_sha256: a.slice(1) }],
    ["no model", { ...configuration, model: "" }],
    ["a model too long", { ...configuration, model: "m".repeat(201) }],
    ["a model with a line end", { ...configuration, model: "m\nm" }],
    ["a model that turns text around", { ...configuration, model: "m\u202em" }],
    ["a model with half a character", { ...configuration, model: "\ud800" }],
    ["an object that is not plain", Object.assign(Object.create({}), configuration)],
  ])("is none with %s", (_name, value) => {
    expect(parseAgentConfiguration(value)).toBeUndefined();
  });
});
