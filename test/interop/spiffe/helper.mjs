// spiffe-helper, as an operator runs it beside a program that reads its certificate from files.
import { spawn } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { authoritiesOf } from "./own-svids.mjs";
import { until } from "./until.mjs";

const names = ["svid.pem", "svid_key.pem", "bundle.pem", "jwt.token", "jwt_bundle.json"];

/** Yields each thing that it is to do: its name, and what went wrong, or undefined. */
export async function* checkHelper(command, directory, { facts, socketPath, can }) {
  const [{ spiffeId, hint }] = facts.identities;
  const { files, end } = start(command, directory, { socketPath, hint });
  const read = (name) => readFileSync(join(files, name), "utf8");
  try {
    yield [
      "writes certificate, key, bundle, token and keys",
      await until(() => names.every((name) => filled(join(files, name)))),
    ];
    const before = read("svid.pem");
    yield ["writes the key of the certificate", keyFault(before, read("svid_key.pem"))];
    yield [
      "picks the identity by its hint",
      new X509Certificate(before).subjectAltName === `URI:${spiffeId}`
        ? undefined
        : new X509Certificate(before).subjectAltName,
    ];
    copySeen(files, facts.seen, "helper-before");
    await can["taint-x509-authority"]();
    const fault = await until(() => {
      const [after, key] = [read("svid.pem"), read("svid_key.pem")];
      // It writes in place: what is half written is empty, or ends within a line.
      const isWhole = [after, key].every((text) => /-----END [A-Z ]+-----\n$/.test(text));
      return isWhole && after !== before && keyFault(after, key) === undefined;
    });
    yield ["writes them anew when the authority is tainted", fault];
    copySeen(files, facts.seen, "helper-after");
  } finally {
    await end();
  }
}

/** The same for a workload of one server that is federated with another. */
export async function* checkFederatedHelper(command, directory, { here, there }) {
  const [{ hint }] = here.facts.identities;
  const { files, end } = start(command, directory, { socketPath: here.socketPath, hint, isFederated: true });
  const bundle = join(files, "bundle.pem");
  const hasAll = async () => {
    const published = (await Promise.all([here, there].map(({ facts }) => authoritiesOf(facts)))).flat();
    const written = existsSync(bundle) ? authoritiesIn(readFileSync(bundle, "utf8")) : [];
    return published.sort().join() === written.sort().join();
  };
  try {
    yield ["writes the authorities of both trust domains", await until(hasAll)];
    const before = readFileSync(bundle, "utf8");
    await here.can["rotate-authorities-of-other"]();
    const fault = await until(async () => readFileSync(bundle, "utf8") !== before && (await hasAll()));
    yield ["writes them anew when the other trust domain has rotated its own", fault];
  } finally {
    await end();
  }
}

function authoritiesIn(text) {
  const pems = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? [];
  return pems.map((pem) => new X509Certificate(pem).raw.toString("base64"));
}

function start(command, directory, given) {
  const files = mkdtempSync(join(directory, "helper-"));
  const config = join(files, "helper.conf");
  writeFileSync(config, configOf(files, given));
  const helper = spawn(command, ["-config", config], { stdio: ["ignore", "ignore", "ignore"] });
  const ended = once(helper, "close");
  const end = async () => {
    helper.kill("SIGTERM");
    await ended;
  };
  return { files, end };
}

function configOf(files, { socketPath, hint, isFederated = false }) {
  return `agent_address = "${socketPath}"
cert_dir = "${files}"
daemon_mode = true
svid_file_name = "svid.pem"
svid_key_file_name = "svid_key.pem"
svid_bundle_file_name = "bundle.pem"
jwt_svids = [{ jwt_audience = "https://one.example", jwt_extra_audiences = ["two"], jwt_svid_file_name = "jwt.token" }]
jwt_bundle_file_name = "jwt_bundle.json"
hint = "${hint}"
include_federated_domains = ${isFederated}
`;
}

function keyFault(certificate, key) {
  return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))
    ? undefined
    : "it is another's";
}

/** For openssl, as the other programs leave what they received. */
function copySeen(files, seen, name) {
  copyFileSync(join(files, "svid.pem"), join(seen, `${name}.leaf.pem`));
  copyFileSync(join(files, "svid.pem"), join(seen, `${name}.chain.pem`));
  copyFileSync(join(files, "bundle.pem"), join(seen, `${name}.authorities.pem`));
}

const filled = (file) => existsSync(file) && readFileSync(file).length > 0;
