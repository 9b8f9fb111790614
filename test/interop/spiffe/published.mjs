// Trust domains whose bundles another program serves, and how an operator federates with them.
import { join } from "node:path";
import { freePort } from "./server.mjs";

/** One for each profile: where its bundle is to be served, and the file for what the operator is handed. */
export async function publishedIn(directory) {
  return [
    {
      trustDomain: "stock.example",
      address: `127.0.0.1:${await freePort()}`,
      endpointId: "spiffe://stock.example/bundle-endpoint",
      proof: join(directory, "stock-bundle.json"),
    },
    {
      trustDomain: "web.example",
      address: `127.0.0.1:${await freePort()}`,
      endpointId: "",
      proof: join(directory, "web-authority.pem"),
    },
  ];
}

/** What can be asked for of each. */
export function federationWith({ countersign }, published) {
  const deeds = published.flatMap(({ trustDomain, address, endpointId, proof }) => [
    [
      `federate-with-${trustDomain}`,
      () => {
        const from = ["--trust-domain", trustDomain, "--url", `https://${address}`, "--allow-private"];
        const how =
          endpointId === ""
            ? ["--profile", "https_web", "--ca", proof]
            : ["--profile", "https_spiffe", "--endpoint-id", endpointId, "--bundle", proof];
        return countersign("federation", "add", ...from, ...how);
      },
    ],
    [`refresh-${trustDomain}`, () => countersign("federation", "refresh", trustDomain)],
  ]);
  return Object.fromEntries(deeds);
}
