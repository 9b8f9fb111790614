import type { LogId, OrganizationId } from "@countersign/sdk/model/ids";
import type { TileName } from "@countersign/sdk/tlog/tile";

/** A log that is served. */
export interface ServedLog {
  readonly id: LogId;
  /** Whose log it is; absent for the installation's own. */
  readonly organization?: OrganizationId;
  /** Whether strangers may read its tiles and entries. */
  readonly public: boolean;
}

/** That an entry is in the tree of the last checkpoint. */
export interface ServedInclusion {
  readonly index: number;
  readonly size: number;
  readonly leafHash: Uint8Array;
  /** From the leaf's sibling up to the root's child. */
  readonly hashes: readonly Uint8Array[];
  /** The signed checkpoint that the proof leads to, verbatim. */
  readonly checkpoint: string;
}

/** What the log routes read; all of it as of the last published checkpoint. */
export interface LogSource {
  find(log: LogId): Promise<ServedLog | undefined>;
  /** The signed note, verbatim. */
  checkpoint(log: LogId): Promise<string | undefined>;
  /** A tile's octets, or an entry bundle's for level `entries`; undefined when there is none of that width yet. */
  tile(log: LogId, name: TileName): Promise<Uint8Array | undefined>;
  /** The exact canonical JSON that was hashed. */
  entry(log: LogId, index: number): Promise<string | undefined>;
  inclusion(log: LogId, index: number): Promise<ServedInclusion | undefined>;
  /** Undefined unless 0 ≤ from ≤ to ≤ the published size. */
  consistency(log: LogId, from: number, to: number): Promise<readonly Uint8Array[] | undefined>;
  /** The lines of an export, without their newlines. */
  export(log: LogId): AsyncIterable<string>;
}
