import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  operatorKeyPath,
  readOrCreateOperatorKey,
} from "../../src/journeys/installation/operator-key-file.ts";
import { openKeyEncryptionKeyFile } from "../../src/keys/key-encryption-key-file.ts";
import { openDataDirectory } from "../../src/store/data-directory.ts";
import { openDatabase } from "../../src/store/database.ts";
import { startEmbeddedPostgres } from "../../src/store/postgres/embedded.ts";
import { openTestDatabase, silentLog } from "../harness.ts";
import { canHideNamespaces, startHolder, withoutNamespaces } from "../store/holder.ts";

const isRoot = process.getuid?.() === 0;
const nobody = { uid: 65_534, gid: 65_534 };

let base: string;
let dataDir: string;
let umask: number;
beforeEach(() => {
  umask = process.umask(0o022);
  base = mkdtempSync(join(tmpdir(), "countersign-attack-"));
  chmodSync(base, 0o755);
  dataDir = join(base, "data");
});
afterEach(() => {
  process.umask(umask);
  rmSync(base, { recursive: true, force: true, maxRetries: 5 });
});

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);
const oneLine = (words: string) => new RegExp(`^[^\\n]*${words}[^\\n]*$`);

/** What another user gets to read. */
function readAsNobody(path: string): string {
  try {
    return execFileSync("cat", [path], { ...nobody, stdio: ["ignore", "pipe", "ignore"], encoding: "utf8" });
  } catch {
    return "nothing";
  }
}

function filesOf(owner: number, directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  // A running PostgreSQL has files that come and go.
  const ownerOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.uid;
  return entries
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((path) => ownerOf(path) === owner);
}

describe("[KEY-006] another user of the machine", () => {
  test("can't enter the data directory that a start made", async () => {
    const postgres = await startEmbeddedPostgres({ log: silentLog }, dataDir);
    try {
      expect(modeOf(dataDir)).toBe("700");
    } finally {
      await postgres.close();
    }
  });

  // Skipped elsewhere: only root can play another user.
  test.runIf(isRoot)(
    "reads no password and owns no file where root's data directory is open to all",
    async () => {
      mkdirSync(dataDir, { mode: 0o755 });
      const warnings: string[] = [];
      const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
      const postgres = await startEmbeddedPostgres({ log }, dataDir);
      try {
        expect(modeOf(dataDir)).toBe("755");
        expect(readAsNobody(join(dataDir, "postgres", "password"))).toBe("nothing");
        expect(filesOf(nobody.uid, dataDir)).toEqual([]);
        expect(warnings).toEqual([]);
      } finally {
        await postgres.close();
      }
    },
  );

  // Skipped elsewhere: only root with mount rights can take namespaces away, where others may run this checkout.
  test.runIf(canHideNamespaces)(
    "reads no password even as the account that PostgreSQL falls back to, and the log warns of that account",
    async () => {
      const holder = startHolder(dataDir, {}, withoutNamespaces);
      try {
        await holder.ready;
        const password = join(dataDir, "postgres", "password");
        expect(statSync(join(dataDir, "postgres")).uid).toBe(nobody.uid);
        expect([statSync(password).uid, modeOf(password)]).toEqual([0, "600"]);
        expect(readAsNobody(password)).toBe("nothing");
        // Let through to what is its own; it may not look around.
        expect(modeOf(dataDir)).toBe("701");
        expect(holder.complaint()).toMatch(/^PostgreSQL runs as uid 65534, and every process of that user/m);
      } finally {
        await holder.release();
      }
    },
  );

  test.each(["777", "1777", "775", "722"])(
    "can't put anything into the data directory: one of mode %s is refused",
    async (mode) => {
      mkdirSync(dataDir);
      chmodSync(dataDir, Number.parseInt(mode, 8));
      const refusal = startEmbeddedPostgres({ log: silentLog }, dataDir);
      await expect(refusal).rejects.toThrow(oneLine("written to by other users; .* chmod go-w"));
      expect(readdirSync(dataDir)).toEqual([]);
    },
  );

  test("can't put anything there where the database is elsewhere, either", async () => {
    const database = await openTestDatabase();
    try {
      const { host = "", user, password, database: name } = database.target;
      const databaseUrl = `postgresql://${user}:${password}@${encodeURIComponent(host)}/${name}`;
      await (await openDatabase({ log: silentLog }, { databaseUrl, dataDir })).close();
      expect(modeOf(dataDir)).toBe("700");
      chmodSync(dataDir, 0o777);
      const refusal = openDatabase({ log: silentLog }, { databaseUrl, dataDir });
      await expect(refusal).rejects.toThrow(oneLine("written to by other users"));
    } finally {
      await database.close();
    }
  });

  // Skipped elsewhere: only root can play another user.
  test.runIf(isRoot)("can't start a server where it can only read", async () => {
    mkdirSync(dataDir, { mode: 0o755 });
    const setUser = process.seteuid;
    if (setUser === undefined) throw new Error("root, but no users");
    setUser(nobody.uid);
    const refusal = openDataDirectory(dataDir).finally(() => setUser(0));
    await expect(refusal).rejects.toThrow(oneLine(`data directory ${dataDir} can't be written to`));
  });

  // Skipped elsewhere: only root can play another user.
  test.runIf(isRoot)("can't lend root a data directory of their own", async () => {
    mkdirSync(dataDir, { mode: 0o755 });
    chownSync(dataDir, nobody.uid, nobody.gid);
    // Root used to give away what stands under this name.
    mkdirSync(join(base, "etc"));
    symlinkSync(join(base, "etc"), join(dataDir, "postgres"));
    const refusal = openDatabase({ log: silentLog }, { databaseUrl: undefined, dataDir });
    await expect(refusal).rejects.toThrow(oneLine("belongs to another user .*; run the server as that user"));
    expect(statSync(join(base, "etc")).uid).toBe(0);
  });
});

describe.each([
  {
    secret: "operator key",
    path: () => operatorKeyPath(dataDir),
    open: async () => (await readOrCreateOperatorKey(dataDir, "spiffe://id.example/a")).privateJwk.d,
  },
  {
    secret: "key-encryption key",
    path: () => join(dataDir, "kek", "key"),
    open: async () => (await openKeyEncryptionKeyFile({ randomBytes }, { dataDir, mayCreate: true })).id,
  },
])("[KEY-006] the file of the $secret", ({ path, open }) => {
  test("is made for its owner alone, once, by several that start at once", async () => {
    const all = await Promise.all(Array.from({ length: 8 }, open));
    expect(new Set(all).size).toBe(1);
    expect(await open()).toBe(all[0]);
    expect([modeOf(path()), modeOf(dirname(path()))]).toEqual(["600", "700"]);
    expect(readdirSync(dirname(path()))).toHaveLength(1);
  });

  test.each(["644", "640", "602"])("is not taken when others could read or write it (%s)", async (mode) => {
    await open();
    chmodSync(path(), Number.parseInt(mode, 8));
    await expect(open()).rejects.toThrow(oneLine("is open to other users; .* chmod go="));
  });

  test.each(["777", "1777", "755"])(
    "is not taken from a directory that others may enter (%s)",
    async (mode) => {
      await open();
      chmodSync(dirname(path()), Number.parseInt(mode, 8));
      await expect(open()).rejects.toThrow(oneLine("is open to other users; .* chmod go="));
    },
  );

  test("is neither made nor taken through a symbolic link", async () => {
    await open();
    const elsewhere = join(base, "elsewhere");
    renameSync(path(), elsewhere);
    symlinkSync(elsewhere, path());
    await expect(open()).rejects.toThrow(oneLine("symbolic link; put the file itself there"));
    rmSync(dirname(path()), { recursive: true });
    mkdirSync(join(base, "other"), { mode: 0o700 });
    symlinkSync(join(base, "other"), dirname(path()));
    await expect(open()).rejects.toThrow(oneLine("is not a directory; move it away"));
    expect(readdirSync(join(base, "other"))).toEqual([]);
  });

  test("is not waited for where a pipe stands", async () => {
    mkdirSync(dirname(path()), { recursive: true, mode: 0o700 });
    execFileSync("sh", ["-c", 'mkfifo -m 600 "$1"', "sh", path()]);
    await expect(open()).rejects.toThrow(oneLine("is not a file; move it away"));
  });

  // Skipped elsewhere: only root can play another user.
  test.runIf(isRoot)("is not taken from another user, who may have put it there", async () => {
    await open();
    chownSync(path(), nobody.uid, nobody.gid);
    await expect(open()).rejects.toThrow(oneLine("belongs to another user .* chown 0 "));
    chownSync(path(), 0, 0);
    chownSync(dirname(path()), nobody.uid, nobody.gid);
    await expect(open()).rejects.toThrow(oneLine("belongs to another user .* chown 0 "));
  });
});
