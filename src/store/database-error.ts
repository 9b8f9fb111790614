/** SQLSTATEs of a server that is going, coming, full, or too slow (57014: the statement's time-out). */
const sqlStatesOfAbsence = new Set(["57P01", "57P02", "57P03", "57P05", "57014", "53300"]);

/** What Prisma's driver adapter makes of an error before anything else sees it. */
const adapterKindsOfAbsence = new Set([
  "DatabaseNotReachable",
  "ConnectionClosed",
  "SocketTimeout",
  "TooManyConnections",
  "TlsConnectionError",
]);

const socketErrors = new Set([
  "EAI_AGAIN",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "EMFILE",
  "ENETUNREACH",
  "ENOENT",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
]);

/** pg and its pool say these in words only. */
const wordsOfAbsence =
  /^(Connection terminated|Query read timeout|timeout (expired|exceeded)|Client (was closed|has encountered)|Cannot use a pool after|Connection ended)|Unable to start a transaction in the given time/m;

/**
 * Whether the database was not there, or did not answer in time. What was asked may or may not have been done.
 * Takes the errors of Prisma (model calls, raw queries, transactions) and of pg.
 */
export function isConnectionFailure(error: unknown): boolean {
  return layersOf(error).some(({ sqlState, kind, code, message }) => {
    if (sqlState !== undefined) return sqlStatesOfAbsence.has(sqlState) || sqlState.startsWith("08");
    return (
      adapterKindsOfAbsence.has(kind ?? "") ||
      socketErrors.has(code ?? "") ||
      wordsOfAbsence.test(message ?? "")
    );
  });
}

/**
 * The name of the unique index, or of the exclusion constraint, that a value was already taken in; undefined when that
 * is not what happened.
 */
export function uniqueViolationOf(error: unknown): string | undefined {
  const violation = layersOf(error).find(({ sqlState }) => sqlState === "23505" || sqlState === "23P01");
  return violation && (violation.constraint ?? "unnamed");
}

/**
 * Whether the database refused the values themselves: not text or too long (SQLSTATE classes 22 and 54), or against a
 * constraint (23). The same values would be refused again.
 */
export function isUnfitForStorage(error: unknown): boolean {
  return layersOf(error).some(({ sqlState }) => /^(22|23|54)/.test(sqlState ?? ""));
}

/** What one layer of an error says about the database. */
interface Layer {
  readonly sqlState: string | undefined;
  readonly kind: string | undefined;
  readonly code: string | undefined;
  readonly message: string | undefined;
  readonly constraint: string | undefined;
}

/** The error, its causes, and what Prisma hangs under `meta.driverAdapterError`, outermost first. */
function layersOf(error: unknown): Layer[] {
  const layers: Layer[] = [];
  // Ten are more than ever occur; a chain of causes may be a ring.
  for (let at: unknown = error; isObject(at) && layers.length < 10; at = nextOf(at)) layers.push(layerOf(at));
  return layers;
}

function nextOf(layer: object): unknown {
  return member(member(layer, "meta"), "driverAdapterError") ?? member(layer, "cause");
}

function layerOf(error: object): Layer {
  const code = text(member(error, "code"));
  const isFromServer = text(member(error, "severity")) !== undefined;
  const constraint = member(error, "constraint");
  return {
    sqlState: text(member(error, "originalCode")) ?? (isFromServer ? code : undefined),
    kind: text(member(error, "kind")),
    code,
    message: text(member(error, "message")),
    constraint: text(constraint) ?? text(member(constraint, "index")),
  };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function member(value: unknown, name: string): unknown {
  return isObject(value) && name in value ? Reflect.get(value, name) : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
