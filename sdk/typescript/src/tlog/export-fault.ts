/** What can be wrong with an export. */
export type ExportFaultCode =
  | "malformed_line"
  | "unexpected_record"
  | "truncated"
  | "bad_header"
  | "bad_checkpoint"
  | "entry_missing"
  | "entry_repeated"
  | "bad_entry"
  /** Not damage: the entry is of a version that this verifier does not know. */
  | "unknown_version"
  | "entry_altered"
  | "tile_altered"
  | "tile_mismatch"
  | "tile_missing"
  | "root_mismatch"
  | "bad_policy"
  | "bad_input";

/** The first thing that is wrong with an export, and where. */
export interface ExportProblem {
  readonly code: ExportFaultCode;
  readonly detail: string;
  /** From 1. */
  readonly line: number;
  /** The first entry that is concerned, where one can be named. */
  readonly index?: number;
  readonly tile?: { readonly level: number; readonly index: number };
}

/** Ends the verification of an export. */
export class ExportFault extends Error {
  override readonly name = "ExportFault";
  readonly code: ExportFaultCode;
  readonly where: Pick<ExportProblem, "index" | "tile">;

  constructor(code: ExportFaultCode, detail: string, where: Pick<ExportProblem, "index" | "tile"> = {}) {
    super(detail);
    this.code = code;
    this.where = where;
  }

  /** The problem this is, seen at a line. */
  at(line: number): ExportProblem {
    return { code: this.code, detail: this.message, line, ...this.where };
  }
}
