/** The server answered, and refused. `code` is that of its problem document or OAuth error. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** No answer came: nothing listens there, the connection broke, or it took too long. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
  readonly server: string;

  constructor(server: string, cause: unknown) {
    super(`no server answers at ${server}`, { cause });
    this.server = server;
  }
}
