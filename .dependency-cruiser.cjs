// Who may import whom. Each row of the table is one rule named `room <folder>`; scripts/checks/rooms.ts plants an
// offender for every rule of this file and fails when one is not found.
const sdk = "sdk/typescript/src";
const pure = ["model", "contract", "tlog", "verify"].map((part) => `${sdk}/${part}`);
const serverCore = ["src/domain", "src/store", ...pure];

const rooms = {
  [sdk]: [],
  "src/domain": [`${sdk}/model`],
  "src/store": ["src/domain", `${sdk}/model`, `${sdk}/contract`],
  "src/keys": serverCore,
  "src/ledger": serverCore,
  "src/policy": serverCore,
  "src/fetch": ["src/domain"],
  "src/svid": [...serverCore, "src/keys", "src/fetch"],
  "src/journeys": [...serverCore, sdk, "src/keys", "src/ledger", "src/policy", "src/svid"],
  "src/node": ["src/domain", "src/fetch", sdk, "src/svid/attest/workload", "src/svid/key-pair.ts"],
  "src/issuer": ["src/journeys", "src/domain", sdk],
  "src/http": ["src/journeys", "src/domain", sdk],
  "src/workload-api": ["src/journeys", "src/domain", sdk],
  "src/followers": ["src/domain", "src/ledger/reader.ts", sdk],
  "src/config.ts": ["src/domain", "src/keys", sdk],
  "src/commands": ["src", sdk],
  "src/app": ["src", sdk],
  "src/app.ts": ["src", sdk],
  "src/main.ts": ["src", sdk],
};

const literal = (path) => path.replaceAll(".", "\\.").replaceAll("/", "\\/");
/** A path that is one of these folders or files, or lies in one. */
const within = (paths) => `^(?:${paths.map(literal).join("|")})(?:/|$|(?<=\\.ts)$)`;
const ourCode = "^(?:src|sdk|test|bench|scripts|admin-ui|spiffe|policies|prisma)/";

const tableOfRooms = Object.entries(rooms).map(([room, allowed]) => ({
  name: `room ${room}`,
  severity: "error",
  from: { path: within([room]) },
  to: { path: ourCode, pathNot: within([room, ...allowed]) },
}));

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    ...tableOfRooms,
    {
      name: "a known room",
      comment: "A new folder of src/ gets its row in the table first.",
      severity: "error",
      from: { path: "^src/", pathNot: within(Object.keys(rooms)) },
      to: {},
    },
    {
      name: "no cycle",
      severity: "error",
      from: { path: "^(?:src|sdk)/" },
      to: { circular: true },
    },
    {
      name: "resolvable",
      comment: "What can't be resolved is not held against the table.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "pure code is free of Node",
      severity: "error",
      from: { path: within([...pure, "src/domain"]) },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "pure code needs little",
      comment: "Packages that run in a browser and do no I/O.",
      severity: "error",
      from: { path: within([...pure, "src/domain"]) },
      to: { path: "node_modules/", pathNot: "node_modules/(?:zod|jose|@noble/hashes)/" },
    },
    {
      name: "journeys know no face",
      severity: "error",
      from: { path: within(["src/journeys"]) },
      to: { path: "node_modules/(?:@types/)?(?:express|oidc-provider|koa|@grpc/[^/]+)/" },
    },
    {
      name: "oidc-provider in the issuer",
      severity: "error",
      from: { path: ourCode, pathNot: within(["src/issuer", "test"]) },
      to: { path: "node_modules/(?:@types/)?oidc-provider/" },
    },
    {
      name: "one seam",
      comment:
        "Deep imports of oidc-provider are not covered by its version number: all pass through one file.",
      severity: "error",
      from: { path: ourCode, pathNot: "^src/issuer/(?:provider-seam\\.ts|[^/]+\\.d\\.ts)$" },
      to: { path: "node_modules/oidc-provider/", pathNot: "node_modules/oidc-provider/lib/index\\.js$" },
    },
    {
      name: "no development dependency in the product",
      severity: "error",
      from: { path: "^(?:src|sdk/typescript/src)/" },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(?:^|/)dist/|/generated/" },
    tsPreCompilationDeps: true,
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["source", "import", "node", "default", "types"],
      extensions: [".ts", ".js", ".mjs", ".cjs", ".d.ts"],
    },
  },
};
