// openssl's strict reading of RFC 5280 over every certificate that the other programs left in a directory.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Yields each certificate's name, and what openssl has against it, or undefined. */
export function* checkSeen(seen) {
  const authorities = new Set();
  for (const file of readdirSync(seen).sort()) {
    const [, name] = /^(.+)\.leaf\.pem$/.exec(file) ?? [];
    if (name === undefined) continue;
    const of = (kind) => join(seen, `${name}.${kind}.pem`);
    for (const purpose of ["sslserver", "sslclient"]) {
      const chain = readFileSync(of("chain")).length > 0 ? ["-untrusted", of("chain")] : [];
      const args = ["-purpose", purpose, "-CAfile", of("authorities"), ...chain, of("leaf")];
      yield [`X.509-SVID ${name} as ${purpose}`, verify(args)];
    }
    for (const pem of pemsOf(readFileSync(of("authorities"), "utf8"))) authorities.add(pem);
  }
  let count = 0;
  for (const pem of authorities) {
    const file = join(seen, `authority-${++count}.pem`);
    writeFileSync(file, pem);
    yield [`authority ${count}`, verify(["-CAfile", file, file])];
  }
}

/** Why it can't be run, else undefined. */
export function missing() {
  return spawnSync("openssl", ["version"]).status === 0 ? undefined : "openssl is not installed";
}

function verify(args) {
  const { status, stdout, stderr } = spawnSync(
    "openssl",
    ["verify", "-x509_strict", "-no-CApath", "-no-CAstore", ...args],
    {
      encoding: "utf8",
    },
  );
  return status === 0 ? undefined : `${stdout} ${stderr}`.trim().replaceAll("\n", " ");
}

function pemsOf(text) {
  return text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? [];
}
