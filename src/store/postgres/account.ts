import { execFile, execFileSync } from "node:child_process";
import { chownSync, lchownSync, readdirSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** Who runs PostgreSQL, which refuses to run as root. */
export interface Account {
  /** How messages call it. */
  readonly name: string;
  /** Owner that its files must have on disk. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** What to put before a command, and under whose ids to spawn it. */
  readonly prefix: readonly string[];
  readonly spawnAs: { readonly uid?: number; readonly gid?: number };
}

/** The environment of every program started here: none of the PG* variables that would redirect it. */
export const programEnvironment = { PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL: "C" };

/**
 * Chooses who runs PostgreSQL on `directory` and makes the directory theirs. An unprivileged user runs it themselves.
 * For root it is whoever owns the directory, else `nobody`; where neither can reach the directory or the binaries (a
 * 0700 directory of root's), it is root's own uid without any of root's powers, in a user namespace. No account is
 * ever created.
 *
 * @throws Error in one line when nobody on this machine can run it there
 */
export async function chooseAccount(directory: string, postgres: string): Promise<Account> {
  const failures: string[] = [];
  for (const account of candidates(statSync(directory))) {
    try {
      if (statSync(directory).uid !== account.owner.uid) giveAway(directory, account.owner);
      await probe(account, directory, postgres);
      return account;
    } catch (error) {
      failures.push(
        `${account.name}: ${error instanceof Error ? error.message.trim().split("\n").at(-1) : error}`,
      );
    }
  }
  throw new Error(`nobody here can run PostgreSQL in ${directory} (${failures.join("; ")})`);
}

function candidates(owner: { readonly uid: number; readonly gid: number }): Account[] {
  const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  if (self.uid !== 0) return hasName() ? [itself(self)] : [itself(self), inNamespace(self)];
  const nobody = idsOfNobody();
  const others = [...(owner.uid === 0 ? [] : [owner]), ...(nobody === undefined ? [] : [nobody])];
  return [...others.map(another), inNamespace(self)];
}

function itself(owner: Account["owner"]): Account {
  return { name: "this user", owner, prefix: [], spawnAs: {} };
}

function another({ uid, gid }: Account["owner"]): Account {
  return { name: `uid ${uid}`, owner: { uid, gid }, prefix: [], spawnAs: { uid, gid } };
}

/** Linux only; elsewhere `unshare` is not found and the probe says so. */
function inNamespace(owner: Account["owner"]): Account {
  const prefix = ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"];
  return { name: "a user namespace", owner, prefix, spawnAs: {} };
}

/** Whether our uid has an entry in the user database, without which initdb refuses to work. */
function hasName(): boolean {
  try {
    return userInfo().username.length > 0;
  } catch {
    return false;
  }
}

function idsOfNobody(): Account["owner"] | undefined {
  try {
    const id = (option: string) =>
      Number(
        execFileSync("id", [option, "nobody"], {
          env: programEnvironment,
          stdio: ["ignore", "pipe", "ignore"],
        }),
      );
    return { uid: id("-u"), gid: id("-g") };
  } catch {
    return undefined;
  }
}

/** Asks the kernel, not the mode bits, whether the account reaches both places. */
async function probe(account: Account, directory: string, postgres: string): Promise<void> {
  const script = 'cd "$1" && test -w . && exec "$2" --version';
  await runAs(account, ["/bin/sh", "-c", script, "sh", directory, postgres]);
}

/** Runs a program to its end as the account; its standard input is empty. */
export async function runAs(account: Account, command: readonly string[]): Promise<void> {
  const [file = "", ...parameters] = [...account.prefix, ...command];
  await promisify(execFile)(file, parameters, { env: programEnvironment, cwd: "/", ...account.spawnAs });
}

function giveAway(directory: string, owner: Account["owner"]): void {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    lchownSync(join(entry.parentPath, entry.name), owner.uid, owner.gid);
  }
  chownSync(directory, owner.uid, owner.gid);
}
