import { spawn } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/store/postgres/embedded.ts";
import { commandOf } from "../../src/store/postgres/process.ts";
import { runSql, silentLog } from "../harness.ts";
import {
  canHideNamespaces,
  canRunAsNobody,
  type Holder,
  postgresPid,
  startHolder,
  withoutNamespaces,
} from "./holder.ts";

const isRoot = process.getuid?.() === 0;
const nobody = 65_534;

let base: string;
let dataDir: string;
let postmasters: Set<number>;
let holders: Holder[];
let held: EmbeddedPostgres[];

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "countersign-embedded-"));
  chmodSync(base, 0o755);
  dataDir = join(base, "data");
  postmasters = new Set();
  holders = [];
  held = [];
});

afterEach(async () => {
  for (const postgres of held) await postgres.close();
  for (const holder of holders) if (holder.process.exitCode === null) await holder.kill();
  // Whatever the test did, nothing may be left running: a PostgreSQL without its lock file ends, but late.
  for (const pid of postmasters) if (isRunning(pid)) process.kill(pid, "SIGKILL");
  rmSync(base, { recursive: true, force: true, maxRetries: 5 });
});

/** Whether the process is a PostgreSQL of this test; one that only waits to be reaped is not. */
function isRunning(pid: number): boolean {
  return commandOf(pid)?.includes(base) === true;
}

async function start(): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres({ log: silentLog }, dataDir);
  held.push(postgres);
  rememberPid();
  return postgres;
}

async function stop(postgres: EmbeddedPostgres): Promise<void> {
  held = held.filter((other) => other !== postgres);
  await postgres.close();
}

function hold(as?: { readonly uid: number; readonly gid: number }, runner?: readonly string[]): Holder {
  const holder = startHolder(dataDir, as, runner);
  holders.push(holder);
  return holder;
}

function rememberPid(): number {
  const pid = postgresPid(dataDir);
  if (pid === undefined) throw new Error("PostgreSQL does not run");
  postmasters.add(pid);
  return pid;
}

async function write(postgres: EmbeddedPostgres, value: number): Promise<void> {
  await runSql(postgres.target, "CREATE TABLE IF NOT EXISTS kept (value int)");
  await runSql(postgres.target, `INSERT INTO kept VALUES (${value})`);
}

async function read(postgres: EmbeddedPostgres): Promise<number[]> {
  const { rows } = await runSql(postgres.target, "SELECT value FROM kept ORDER BY value");
  return rows.map(({ value }) => value);
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

describe("a data directory's own PostgreSQL", () => {
  test("starts on nothing, keeps to itself, and stops with its last user", async () => {
    const postgres = await start();
    const { rows } = await runSql(
      postgres.target,
      `SELECT current_setting('server_version_num')::int / 10000 AS major, current_setting('fsync') AS fsync,
         current_setting('listen_addresses') AS tcp, current_setting('unix_socket_permissions') AS socket,
         current_setting('server_encoding') AS encoding, (SELECT datcollate FROM pg_database WHERE datname = 'countersign'),
         (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS super`,
    );
    expect(rows).toEqual([
      { major: 18, fsync: "on", tcp: "", socket: "0700", encoding: "UTF8", datcollate: "C", super: false },
    ]);
    expect(modeOf(join(dataDir, "postgres"))).toBe(0o700);
    expect(modeOf(join(dataDir, "postgres", "password"))).toBe(0o600);
    expect(readdirSync(dataDir)).toEqual(["postgres"]);

    const pid = rememberPid();
    await stop(postgres);
    expect(isRunning(pid)).toBe(false);
    expect(postgresPid(dataDir)).toBeUndefined();
  });

  test("refuses a wrong password, and every login of the superuser", async () => {
    const { target } = await start();
    await expect(runSql({ ...target, password: "guess" }, "SELECT 1")).rejects.toMatchObject({
      code: "28P01",
    });
    await expect(runSql({ ...target, user: "postgres" }, "SELECT 1")).rejects.toMatchObject({
      code: "28000",
    });
  });

  test("keeps what was written from one start to the next", async () => {
    const first = await start();
    await write(first, 1);
    await stop(first);
    const second = await start();
    expect(await read(second)).toEqual([1]);
  });

  test("is adopted, not started again, after its process was killed", async () => {
    const holder = hold();
    await holder.ready;
    const pid = rememberPid();
    await holder.kill();
    const postgres = await start();
    expect(postgresPid(dataDir)).toBe(pid);
    await holdsAlone(postgres);
    await stop(postgres);
    expect(isRunning(pid)).toBe(false);
  });

  test("is shared by processes that start at once, and outlives all but the last", async () => {
    const [one, other] = [hold(), hold()];
    await Promise.all([one.ready, other.ready]);
    const pid = rememberPid();
    const postgres = await start();
    expect(postgresPid(dataDir)).toBe(pid);
    expect(readdirSync(dataDir)).toEqual(["postgres"]);
    await one.release();
    await stop(postgres);
    expect(isRunning(pid)).toBe(true);
    await other.release();
    expect(isRunning(pid)).toBe(false);
  });

  test("serves who starts while the last one is stopping it", async () => {
    for (let round = 0; round < 5; round++) {
      const leaving = await start();
      const [arriving] = await Promise.all([start(), delay(round * 3).then(() => stop(leaving))]);
      await write(arriving, round);
      expect(await read(arriving)).toHaveLength(round + 1);
      await stop(arriving);
    }
  });
});

describe("after a crash", () => {
  test("a lock file whose number now belongs to another process is no obstacle", async () => {
    const first = await start();
    await write(first, 1);
    const lockFile = join(dataDir, "postgres", "data", "postmaster.pid");
    const [, ...rest] = readFileSync(lockFile, "utf8").split("\n");
    await stop(first);
    // A stranger of the same user as PostgreSQL, for only such a one is taken for it.
    const owner = statSync(join(dataDir, "postgres", "data"));
    const stranger = spawn("sleep", ["60"], { uid: owner.uid, gid: owner.gid });
    writeFileSync(lockFile, [stranger.pid, ...rest].join("\n"));
    try {
      expect(await read(await start())).toEqual([1]);
    } finally {
      stranger.kill("SIGKILL");
    }
  });

  test("PostgreSQL killed under its users comes back by itself with everything acknowledged", async () => {
    const postgres = await start();
    for (let round = 1; round <= 3; round++) {
      await write(postgres, round);
      process.kill(rememberPid(), "SIGKILL");
      await (round === 1 ? comesBack(postgres) : postgres.ensureRunning());
      rememberPid();
    }
    expect(await read(postgres)).toEqual([1, 2, 3]);
  });

  test("a backend that goes on after PostgreSQL was killed does not hold up the next", async () => {
    const postgres = await start();
    await write(postgres, 1);
    const busy = new pg.Client(postgres.target);
    busy.on("error", () => undefined);
    await busy.connect();
    const endless = busy.query("SELECT count(*) FROM generate_series(1, 10000000000)").catch(() => undefined);
    await delay(100);
    process.kill(rememberPid(), "SIGKILL");
    await comesBack(postgres);
    rememberPid();
    await endless;
  });

  test.each(["", "data/base"])(
    "a process killed while making the cluster leaves nothing that hinders the next (seen: its draft/%s)",
    async (part) => {
      await killMaker(part);
      await start();
      expect(readdirSync(dataDir)).toEqual(["postgres"]);
    },
  );

  test("a PostgreSQL that can't start says why in one line", async () => {
    await stop(await start());
    appendFileSync(join(dataDir, "postgres", "data", "postgresql.conf"), "no_such_setting = 1\n");
    await expect(start()).rejects.toThrow(/^PostgreSQL in [^\n]+ does not start: [^\n]*FATAL[^\n]*$/);
  });

  test("a cluster that vanished is not replaced by an empty one", async () => {
    const postgres = await start();
    process.kill(rememberPid(), "SIGSTOP");
    rmSync(join(dataDir, "postgres"), { recursive: true, maxRetries: 5 });
    for (const pid of postmasters) process.kill(pid, "SIGKILL");
    await expect(postgres.ensureRunning()).rejects.toThrow();
    expect(existsSync(join(dataDir, "postgres"))).toBe(false);
  });
});

describe("wherever it lies", () => {
  test("a path longer than a socket address can hold", async () => {
    dataDir = join(base, "d".repeat(100), "e".repeat(100));
    mkdirSync(dirname(dataDir));
    const postgres = await start();
    await write(postgres, 1);
    process.kill(rememberPid(), "SIGKILL");
    await postgres.ensureRunning();
    rememberPid();
    expect(await read(postgres)).toEqual([1]);
  });

  test("a path with blanks and quotes, reached through a symbolic link", async () => {
    const real = join(base, `it's "here"; $HOME`);
    mkdirSync(real);
    dataDir = join(base, "link");
    symlinkSync(real, dataDir);
    await write(await start(), 1);
  });

  // Skipped elsewhere: only root can play another user.
  test.runIf(isRoot)("root: runs in a namespace, with none of root's capabilities", async () => {
    chmodSync(base, 0o700);
    const postgres = await start();
    await write(postgres, 1);
    const status = readFileSync(`/proc/${rememberPid()}/status`, "utf8");
    expect(status).toMatch(/^CapEff:\t0+$/m);
    await stop(postgres);
    // And goes on when the directory is opened and closed later.
    chmodSync(base, 0o755);
    chmodSync(dataDir, 0o755);
    const opened = await start();
    expect(await read(opened)).toEqual([1]);
    await stop(opened);
    chmodSync(base, 0o700);
    chmodSync(dataDir, 0o700);
    expect(await read(await start())).toEqual([1]);
  });

  // Skipped elsewhere: only root with mount rights can take namespaces away, where others may run this checkout.
  test.runIf(canHideNamespaces)(
    "root where namespaces are refused: runs as nobody, is adopted, and goes back when they are allowed",
    async () => {
      const holder = hold(undefined, withoutNamespaces);
      await holder.ready;
      const pid = rememberPid();
      expect(statSync(`/proc/${pid}`).uid).toBe(nobody);
      await holder.kill();
      const adopted = await start();
      expect(postgresPid(dataDir)).toBe(pid);
      await write(adopted, 1);
      await holdsAlone(adopted);
      await stop(adopted);
      // As a start leaves it that dies while it takes the files back.
      chownSync(join(dataDir, "postgres"), 0, 0);
      const again = await start();
      expect(statSync(`/proc/${rememberPid()}`).uid).toBe(0);
      expect(await read(again)).toEqual([1]);
      await stop(again);
      const refusedLater = hold(undefined, withoutNamespaces);
      await refusedLater.ready;
      expect(statSync(`/proc/${rememberPid()}`).uid).toBe(nobody);
      await refusedLater.release();
    },
  );

  // Skipped elsewhere: only root can be nobody, and only where nobody may run this checkout.
  test.runIf(canRunAsNobody)("an unprivileged user", async () => {
    chownSync(base, nobody, nobody);
    const holder = hold({ uid: nobody, gid: nobody });
    await holder.ready;
    expect(statSync(`/proc/${rememberPid()}`).uid).toBe(nobody);
    await holder.release();
  });
});

/** Kills a process that makes a cluster once its draft has this part: what it runs goes on without it. */
async function killMaker(part: string): Promise<void> {
  const isMaking = () =>
    existsSync(dataDir) &&
    readdirSync(dataDir).some(
      (name) => name.startsWith("postgres.making-") && existsSync(join(dataDir, name, part)),
    );
  for (;;) {
    const holder = hold();
    await appears(() => isMaking() || existsSync(join(dataDir, "postgres")));
    await holder.kill();
    if (!existsSync(join(dataDir, "postgres"))) return;
    // It was done before it was seen at work: from the beginning, then.
    await stop(await start());
    rmSync(dataDir, { recursive: true });
  }
}

/** Waits until PostgreSQL has noticed that the process is gone which held it before: until then nobody is the last. */
async function holdsAlone({ target }: EmbeddedPostgres): Promise<void> {
  const holds = "SELECT FROM pg_stat_activity WHERE application_name = 'countersign hold'";
  await appears(async () => (await runSql(target, holds)).rowCount === 1);
}

async function comesBack(postgres: EmbeddedPostgres): Promise<void> {
  const gone = [...postmasters];
  await appears(() => {
    const pid = postgresPid(dataDir);
    return pid !== undefined && !gone.includes(pid);
  });
  await appears(() =>
    runSql(postgres.target, "SELECT 1").then(
      () => true,
      () => false,
    ),
  );
}

async function appears(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 2_000; tries++) {
    if (await condition()) return;
    await delay(10);
  }
  throw new Error("waited in vain");
}
