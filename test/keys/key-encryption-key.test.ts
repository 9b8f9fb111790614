import { randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keyEncryptionKeyOf, parseKeyEncryptionSecret } from "../../src/keys/key-encryption-key.ts";
import { openKeyEncryptionKeyFile } from "../../src/keys/key-encryption-key-file.ts";

const deps = { randomBytes };

describe("a key-encryption key that an operator gives", () => {
  it("is taken in base64 and base64url, with or without padding", () => {
    const secret = Buffer.alloc(32, 0xfb);
    for (const text of [
      secret.toString("base64"),
      secret.toString("base64url"),
      `${secret.toString("base64url")}=`,
    ]) {
      expect(parseKeyEncryptionSecret(text)).toEqual(secret);
    }
  });

  it.each([
    ["nothing", ""],
    ["31 bytes", Buffer.alloc(31).toString("base64")],
    ["33 bytes", Buffer.alloc(33).toString("base64")],
    ["hex", Buffer.alloc(32).toString("hex")],
    ["white space inside", `${Buffer.alloc(32).toString("base64").slice(0, 20)} ${"A".repeat(23)}`],
    ["bits left over", `${"A".repeat(42)}B`],
    ["too much padding", `${"A".repeat(43)}==`],
  ])("is refused when it is %s", (_, text) => {
    expect(parseKeyEncryptionSecret(text)).toBeUndefined();
  });

  it("unwraps what it wrapped, and nothing that another wrapped or that was changed", async () => {
    const one = keyEncryptionKeyOf(deps, randomBytes(32));
    const other = keyEncryptionKeyOf(deps, randomBytes(32));
    const dataKey = randomBytes(32);
    const wrapped = await one.wrap(dataKey);
    expect(Buffer.from(await one.unwrap(wrapped))).toEqual(dataKey);
    await expect(other.unwrap(wrapped)).rejects.toThrow();
    wrapped[20] = (wrapped[20] ?? 0) ^ 1;
    await expect(one.unwrap(wrapped)).rejects.toThrow();
    await expect(one.unwrap(wrapped.subarray(0, 20))).rejects.toThrow("cut short");
    expect(one.id).not.toBe(other.id);
  });

  it("shows nothing of itself in its id or when printed", () => {
    const secret = randomBytes(32);
    const printed = JSON.stringify(keyEncryptionKeyOf(deps, secret));
    for (const encoding of ["base64", "base64url", "hex"] as const) {
      expect(printed).not.toContain(secret.toString(encoding).slice(0, 12));
    }
  });
});

describe("a key-encryption key in a file", () => {
  let dataDir: string;
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "countersign-kek-"));
  });
  afterEach(() => rm(dataDir, { recursive: true, force: true }));

  const path = () => join(dataDir, "kek", "key");
  const openFile = (mayCreate: boolean) => openKeyEncryptionKeyFile(deps, { dataDir, mayCreate });

  it("is made once, for its owner only, and found again", async () => {
    const made = await openFile(true);
    expect((await stat(join(dataDir, "kek"))).mode & 0o777).toBe(0o700);
    expect((await stat(path())).mode & 0o777).toBe(0o600);
    expect(await readdir(join(dataDir, "kek"))).toEqual(["key"]);
    expect((await openFile(true)).id).toBe(made.id);
    expect((await openFile(false)).id).toBe(made.id);
    const secret = parseKeyEncryptionSecret((await readFile(path(), "utf8")).trim());
    expect(keyEncryptionKeyOf(deps, secret ?? randomBytes(32)).id).toBe(made.id);
  });

  it("is one and the same for all that start at once", async () => {
    const all = await Promise.all(Array.from({ length: 16 }, () => openFile(true)));
    expect(new Set(all.map(({ id }) => id)).size).toBe(1);
    expect(await readdir(join(dataDir, "kek"))).toEqual(["key"]);
  });

  it("[KEY-004] is never made anew where data keys exist", async () => {
    await expect(openFile(false)).rejects.toThrow(/key-encryption key .* is missing.*restore the file/);
    await expect(stat(path())).rejects.toThrow("ENOENT");
  });

  it.each([0o640, 0o604, 0o620])("is refused when others have access to the file (%o)", async (mode) => {
    await openFile(true);
    await chmod(path(), mode);
    await expect(openFile(true)).rejects.toThrow("is open to other users");
  });

  it("is refused when others have access to its directory", async () => {
    await openFile(true);
    await chmod(join(dataDir, "kek"), 0o750);
    await expect(openFile(true)).rejects.toThrow("is open to other users");
    await expect(openFile(false)).rejects.toThrow("is open to other users");
  });

  it("is refused when it is a link, cut short, or no key", async () => {
    await mkdir(join(dataDir, "kek"), { mode: 0o700 });
    await writeFile(join(dataDir, "elsewhere"), `${randomBytes(32).toString("base64url")}\n`, {
      mode: 0o600,
    });
    await symlink(join(dataDir, "elsewhere"), path());
    await expect(openFile(true)).rejects.toThrow("can't be read");
    await rm(path());
    await writeFile(path(), randomBytes(31).toString("base64url"), { mode: 0o600 });
    await expect(openFile(true)).rejects.toThrow("does not hold a key of 32 bytes");
  });
});
