import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import type { Case } from "../vector-files.ts";

const [zeros, ones] = ["0".repeat(64), "1".repeat(64)];
const plain = { model: "model-1", prompt_sha256: zeros, tools_sha256: ones };

const configurations: [string, JsonValue, boolean][] = [
  ["a configuration", plain, true],
  ["the same in another order", { tools_sha256: ones, model: "model-1", prompt_sha256: zeros }, true],
  ["prompt and tools exchanged", { ...plain, prompt_sha256: ones, tools_sha256: zeros }, true],
  ["a model with quotes and a backslash", { ...plain, model: 'a "b" \\ c/d' }, true],
  ["a model beyond ASCII", { ...plain, model: "modèle 模型 🤖" }, true],
  ["a model of 200 characters", { ...plain, model: "m".repeat(200) }, true],
  ["a model too long", { ...plain, model: "m".repeat(201) }, false],
  ["no model", { prompt_sha256: zeros, tools_sha256: ones }, false],
  ["an empty model", { ...plain, model: "" }, false],
  ["a model with a line end", { ...plain, model: "model\n1" }, false],
  ["a model with half a character", { ...plain, model: "\ud800" }, false],
  ["a member that nobody knows", { ...plain, temperature: 0 }, false],
  ["a hash in upper case", { ...plain, prompt_sha256: "A".repeat(64) }, false],
  ["a hash cut short", { ...plain, tools_sha256: ones.slice(1) }, false],
  ["a hash that is no text", { ...plain, tools_sha256: null }, false],
  ["no object", [plain], false],
];

/** The checksum of an agent's configuration. */
export const agentChecksums: readonly Case[] = configurations.map(([name, configuration, expected]) => ({
  name,
  input: { configuration },
  expected,
}));
