// Asks this container's own server whether it is ready: exit code 0 or 1. No certificate is checked, since the server
// is asked by address and nothing is told to it.
import { get as getPlain } from "node:http";
import { get as getTls } from "node:https";

const { COUNTERSIGN_TLS_CERT: certificate, COUNTERSIGN_HOST: host, COUNTERSIGN_PORT: port } = process.env;
const anyAddress = ["0.0.0.0", "::", undefined];
const request = {
  host: anyAddress.includes(host) ? "127.0.0.1" : host,
  port: port ?? 8460,
  path: "/readyz",
  timeout: 4_000,
  rejectUnauthorized: false,
};
const asked = (certificate === undefined ? getPlain : getTls)(request, (response) => {
  response.resume();
  process.exitCode = response.statusCode === 200 ? 0 : 1;
});
asked.on("timeout", () => asked.destroy(new Error(`no answer within ${request.timeout} ms`)));
asked.on("error", ({ message }) => {
  console.error(message);
  process.exitCode = 1;
});
