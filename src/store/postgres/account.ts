import { execFile, execFileSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, readdirSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
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

/** The one file beside PostgreSQL's that is the server's own, whoever runs PostgreSQL. */
export const passwordName = "password";

/**
 * Chooses who runs PostgreSQL on `directory`, which lies in the data directory, and makes it theirs, all but the
 * password. An unprivileged user runs it themselves. For root it is root's own uid without any of root's powers, in a
 * user namespace; where those are refused it is `nobody`, who is then let through the data directory. No account is
 * ever created.
 *
 * @throws Error in one line when nobody on this machine can run it there
 */
export async function chooseAccount(directory: string, postgres: string): Promise<Account> {
  const failures: string[] = [];
  for (const account of candidates()) {
    try {
      await probe(account, postgres);
      await giveAway(directory, account.owner);
      await probeDirectory(account, directory);
      return account;
    } catch (error) {
      failures.push(
        `${account.name}: ${error instanceof Error ? error.message.trim().split("\n").at(-1) : error}`,
      );
    }
  }
  throw new Error(`nobody here can run PostgreSQL in ${directory} (${failures.join("; ")})`);
}

/** What operators should know of who runs PostgreSQL on `directory`, or undefined when that needs no word. */
export function warningOfAccount(directory: string): string | undefined {
  const { uid } = statSync(directory);
  if (uid === ownIds().uid) return undefined;
  return `PostgreSQL runs as uid ${uid}, and every process of that user can change its data; allow user namespaces, or run the server as an unprivileged user of its own`;
}

function candidates(): Account[] {
  const self = ownIds();
  if (self.uid !== 0) return hasName() ? [itself(self)] : [itself(self), inNamespace(self)];
  const nobody = idsOfNobody();
  return [inNamespace(self), ...(nobody === undefined ? [] : [another(nobody)])];
}

function ownIds(): Account["owner"] {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
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

async function probe(account: Account, postgres: string): Promise<void> {
  await runAs(account, [postgres, "--version"]);
}

/** Asks the kernel, not the mode bits, whether the account reaches the directory. */
async function probeDirectory(account: Account, directory: string): Promise<void> {
  await runAs(account, ["/bin/sh", "-c", 'cd "$1" && test -w .', "sh", directory]);
}

/** Runs a program to its end as the account; its standard input is empty. */
export async function runAs(account: Account, command: readonly string[]): Promise<void> {
  const [file = "", ...parameters] = [...account.prefix, ...command];
  await promisify(execFile)(file, parameters, { env: programEnvironment, cwd: "/", ...account.spawnAs });
}

async function giveAway(directory: string, owner: Account["owner"]): Promise<void> {
  const self = ownIds();
  if (owner.uid !== self.uid) letThrough(dirname(directory));
  // Both, for a start may have died in between: the data is given last of all, the directory first or last.
  const places = [directory, join(directory, "data")].filter((place) => existsSync(place));
  if (places.every((place) => statSync(place).uid === owner.uid)) return;
  // Nobody else gets in meanwhile, and chown, unlike a loop here, can't be led elsewhere by those who are in already.
  chownSync(directory, self.uid, self.gid);
  const names = readdirSync(directory).filter((name) => name !== passwordName);
  if (names.length > 0) {
    const paths = names.map((name) => join(directory, name));
    await promisify(execFile)("chown", ["-RhP", `${owner.uid}:${owner.gid}`, ...paths], {
      env: programEnvironment,
    });
  }
  chownSync(directory, owner.uid, owner.gid);
}

/** Lets others enter, but not list, the data directory: every secret in it has a directory of its own. */
function letThrough(dataDir: string): void {
  const { mode } = statSync(dataDir);
  if ((mode & 0o001) === 0) chmodSync(dataDir, (mode & 0o7777) | 0o001);
}
