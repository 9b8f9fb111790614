// Envoy before a workload, as the operator's example has it, and Envoy beside another workload that calls it: their
// certificates and what they verify by come from the socket by SDS.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { leaveShown } from "./own-svids.mjs";
import { freePort } from "./server.mjs";
import { until } from "./until.mjs";

const example = join(import.meta.dirname, "../../../spiffe/examples/envoy.yaml");

/** Yields each thing that it is to do: its name, and what went wrong, or undefined. */
export async function* checkEnvoy(command, directory, { facts, socketPath, can }) {
  const [one, two] = facts.identities.map(({ spiffeId }) => spiffeId);
  const workload = createServer((socket) => socket.on("error", () => undefined).pipe(socket));
  await once(workload.listen(0, "127.0.0.1"), "listening");
  const port = await freePort();
  const callers = {
    known: { as: two, demands: one, listensAt: await freePort() },
    another: { as: one, demands: one, listensAt: await freePort() },
    mistaken: { as: two, demands: two, listensAt: await freePort() },
  };
  const before = exampleFor({ port, workloadPort: workload.address().port, caller: two, socketPath });
  const beside = JSON.stringify(configOfCallers(Object.values(callers), port, socketPath));
  const envoys = [start(command, directory, before), start(command, directory, beside)];
  const tell = (caller) => word(callers[caller].listensAt);
  try {
    const fault = (await Promise.all(envoys.map((envoy) => until(envoy.isReady)))).find(Boolean);
    yield ["gets its secrets from the socket", fault];
    yield [
      "mTLS through it between two workloads",
      await until(async () => (await tell("known")) === "hello"),
    ];
    yield ["lets in none but the one that is named", await refusalOf(tell("another"))];
    yield ["calls none but the one that is named", await refusalOf(tell("mistaken"))];
    await leaveShown(facts, "envoy-before", port);
    const serials = await Promise.all(envoys.map((envoy) => envoy.serials()));
    let failures = 0;
    await can["taint-x509-authority"]();
    const renewed = await until(async () => {
      if ((await tell("known")) !== "hello") failures++;
      const now = await Promise.all(envoys.map((envoy) => envoy.serials()));
      return now.every((own, at) => own.every((serial) => !serials[at].includes(serial)));
    });
    yield ["has other certificates once the authority is tainted", renewed];
    yield ["mTLS goes on meanwhile", failures === 0 ? undefined : `${failures} connections failed`];
    yield ["mTLS goes on after that", (await tell("known")) === "hello" ? undefined : "it was refused"];
    await leaveShown(facts, "envoy-after", port);
  } finally {
    await Promise.all(envoys.map((envoy) => envoy.end()));
    workload.close();
  }
}

/** The example, with what it says to put in. */
function exampleFor({ port, workloadPort, caller, socketPath }) {
  const put = [
    ["{ address: 0.0.0.0, port_value: 8443 }", `{ address: 127.0.0.1, port_value: ${port} }`],
    ["port_value: 8080", `port_value: ${workloadPort}`],
    ["spiffe://id.example.com/org/default/agent/agt_01k9", caller],
    ["/var/lib/countersign/workload.sock", socketPath],
  ];
  return put.reduce(
    (text, [from, to]) => {
      if (!text.includes(from)) throw new Error(`the example of Envoy has no ${from}`);
      return text.replace(from, to);
    },
    readFileSync(example, "utf8"),
  );
}

/** One listener for each caller, which turns what it is told into TLS: as this identity, to no other than that one. */
function configOfCallers(callers, port, socketPath) {
  const named = callers.map((caller, at) => ({ ...caller, name: `caller-${at}` }));
  const workloadApi = {
    ...clusterTo("workload_api", { pipe: { path: socketPath } }),
    http2_protocol_options: {},
  };
  return {
    node: { id: "callers", cluster: "callers" },
    static_resources: {
      listeners: named.map(({ name, listensAt }) => ({
        address: addressOf(listensAt),
        filter_chains: [
          { filters: [typed("filters.network.tcp_proxy", "TcpProxy", { stat_prefix: name, cluster: name })] },
        ],
      })),
      clusters: [
        workloadApi,
        ...named.map(({ name, ...tls }) => ({
          ...clusterTo(name, addressOf(port)),
          transport_socket: typed("transport_sockets.tls", "UpstreamTlsContext", {
            common_tls_context: tlsContextOf(tls),
          }),
        })),
      ],
    },
  };
}

function tlsContextOf({ as, demands }) {
  const grpc_services = [{ envoy_grpc: { cluster_name: "workload_api" } }];
  const source = { api_type: "GRPC", transport_api_version: "V3", grpc_services };
  const sds_config = { resource_api_version: "V3", api_config_source: source };
  return {
    tls_certificate_sds_secret_configs: [{ name: as, sds_config }],
    combined_validation_context: {
      default_validation_context: {
        match_typed_subject_alt_names: [{ san_type: "URI", matcher: { exact: demands } }],
      },
      validation_context_sds_secret_config: { name: "ALL", sds_config },
    },
  };
}

function typed(name, type, config) {
  const url = `type.googleapis.com/envoy.extensions.${name}.v3.${type}`;
  return { name: `envoy.${name}`, typed_config: { "@type": url, ...config } };
}

const addressOf = (port) => ({ socket_address: { address: "127.0.0.1", port_value: port } });

function clusterTo(name, address) {
  const endpoints = [{ lb_endpoints: [{ endpoint: { address } }] }];
  return { name, connect_timeout: "5s", load_assignment: { cluster_name: name, endpoints } };
}

/** Runs it until `end`; `serials` are its own certificates'. */
function start(command, directory, config) {
  const files = mkdtempSync(join(directory, "envoy-"));
  const [configPath, adminPath] = ["config.yaml", "admin"].map((name) => join(files, name));
  // One document of YAML may be JSON.
  writeFileSync(configPath, config);
  const admin = ["--config-yaml", JSON.stringify({ admin: { address: addressOf(0) } })];
  const alone = ["--disable-hot-restart", "--concurrency", "1", "--log-level", "error"];
  const words = ["-c", configPath, "--admin-address-path", adminPath, ...admin, ...alone];
  const envoy = spawn(command, words, { stdio: ["ignore", "ignore", "inherit"] });
  const ended = once(envoy, "close");
  const ask = (path) => fetch(`http://${readFileSync(adminPath, "utf8")}${path}`);
  return {
    isReady: async () => existsSync(adminPath) && (await ask("/ready")).ok,
    serials: async () => {
      const { certificates } = await (await ask("/certs")).json();
      return certificates.flatMap(({ cert_chain = [] }) => cert_chain.map((each) => each.serial_number));
    },
    end: async () => {
      envoy.kill("SIGTERM");
      await ended;
    },
  };
}

/** What comes back of a word that is said at a port: nothing, where the connection is refused behind it. */
async function word(port) {
  const socket = connect(port, "127.0.0.1");
  let back = "";
  socket.setEncoding("utf8").on("data", (text) => {
    back += text;
    if (back.length >= "hello".length) socket.end();
  });
  const closed = new Promise((resolve) => socket.on("error", () => undefined).on("close", resolve));
  socket.write("hello");
  await closed;
  return back;
}

async function refusalOf(told) {
  const back = await told;
  return back === "" ? undefined : `it was told ${back}`;
}
