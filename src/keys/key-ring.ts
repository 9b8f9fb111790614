import type { LogId } from "@countersign/sdk/model/ids";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { keepUp } from "../store/keep-up.ts";
import { type JwtKeys, type KeySnapshotDeps, readKeySnapshot, type X509Authorities } from "./key-snapshot.ts";
import type { LogSigner } from "./log-signer.ts";

export interface KeyRingDeps extends KeySnapshotDeps {
  /** Told when the keys could not be read again; the ones that are known stay in use. */
  readonly onReloadFailed: (error: unknown) => void;
}

/** The signing keys of this process, as the database has them. */
export interface KeyRing {
  /** @throws Error when no key was made yet */
  readonly tokenKeys: () => JwtKeys;
  /** @throws Error when no authority was made yet */
  readonly jwtAuthorities: () => JwtKeys;
  /** @throws Error when no authority was made yet */
  readonly x509Authorities: () => X509Authorities;
  /** Of our own trust domain. */
  readonly trustBundle: () => TrustBundle;
  /** What we ourselves accept SVIDs by. */
  readonly svidBundle: () => TrustBundle;
  /**
   * Who signs a log's checkpoints: the active key first, then those still in their overlap. All of them sign.
   *
   * @throws Error when this log has no key that is known here
   */
  readonly logSigners: (log: LogId) => readonly LogSigner[];
  /** Reads the keys again; when it resolves, everything committed before the call is known. */
  readonly reload: () => Promise<void>;
  /** Calls the listener after each change of what the ring answers. @returns a function that ends it */
  readonly onChange: (listener: () => void) => () => void;
  readonly close: () => Promise<void>;
}

/**
 * Reads the signing keys and keeps up with them: at once when any process rotates, and every 5 s in any case.
 *
 * @throws KeysUnusableError when a key does not open
 */
export async function openKeyRing(deps: KeyRingDeps): Promise<KeyRing> {
  const listeners = new Set<() => void>();
  let snapshot = await readKeySnapshot(deps);

  async function read(): Promise<void> {
    const { fingerprint } = snapshot;
    snapshot = await readKeySnapshot(deps, snapshot);
    if (snapshot.fingerprint !== fingerprint) for (const listener of listeners) listener();
  }

  const { db, onReloadFailed } = deps;
  const { reload, close } = await keepUp({ db, read, onReloadFailed }, ["signing_key"]);
  return {
    tokenKeys: () => made(snapshot.tokenKeys, "token key"),
    jwtAuthorities: () => made(snapshot.jwtAuthorities, "JWT authority"),
    x509Authorities: () => made(snapshot.x509Authorities, "X.509 authority"),
    trustBundle: () => snapshot.trustBundle,
    svidBundle: () => snapshot.svidBundle,
    logSigners(log) {
      const signers = snapshot.logSigners.get(log);
      if (signers === undefined) throw new Error(`log ${log} has no key yet`);
      return signers;
    },
    reload,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close,
  };
}

function made<Key>(key: Key | undefined, what: string): Key {
  if (key === undefined) throw new Error(`there is no ${what} yet`);
  return key;
}
