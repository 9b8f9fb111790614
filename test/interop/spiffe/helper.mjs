// spiffe-helper, as an operator runs it beside a program that reads its certificate from files.
import { spawn } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const patienceMs = 30_000;
const names = ["svid.pem", "svid_key.pem", "bundle.pem", "jwt.token", "jwt_bundle.json"];

/** Yields each thing that it is to do: its name, and what went wrong, or undefined. */
export async function* checkHelper(command, directory, { facts, socketPath, can }) {
  const files = join(directory, "helper");
  mkdirSync(files);
  const [{ spiffeId, hint }] = facts.identities;
  const config = join(directory, "helper.conf");
  writeFileSync(config, configOf(socketPath, files, hint));
  const helper = spawn(command, ["-config", config], { stdio: ["ignore", "ignore", "ignore"] });
  const ended = once(helper, "close");
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
    helper.kill("SIGTERM");
    await ended;
  }
}

function configOf(socketPath, files, hint) {
  return `agent_address = "${socketPath}"
cert_dir = "${files}"
daemon_mode = true
svid_file_name = "svid.pem"
svid_key_file_name = "svid_key.pem"
svid_bundle_file_name = "bundle.pem"
jwt_svids = [{ jwt_audience = "https://one.example", jwt_extra_audiences = ["two"], jwt_svid_file_name = "jwt.token" }]
jwt_bundle_file_name = "jwt_bundle.json"
hint = "${hint}"
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

/** Undefined once it is so, and a reason when that never comes. */
async function until(isSo) {
  const deadline = Date.now() + patienceMs;
  while (!isSo()) {
    if (Date.now() > deadline) return `it did not within ${patienceMs} ms`;
    await delay(50);
  }
  return undefined;
}
