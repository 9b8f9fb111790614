// A workload, as a process of its own: it was given the socket and the issuer's name, and no secret. What it does it is
// told by the demo, message by message; see workload-process.ts for what they say.
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { fetchJwtSvid } from "../workload-svid.ts";
import { callResource, redeem, svidClient } from "./oauth.ts";
import { type Errand, type Order, orderSchema, type Report } from "./workload-process.ts";

const [, , socket = "", issuer = ""] = process.argv;
const { privateJwk } = await makeKeyPair();

process.on("message", (message) => {
  const failed = (error: unknown): Report => ({ is: "failed", detail: String(error) });
  void perform(orderSchema.parse(message))
    .catch(failed)
    .then((report) => process.send?.(report));
});

async function perform(order: Order): Promise<Report> {
  const svid = await fetchJwtSvid(socket, issuer);
  return svid.is === "identity" && order.is === "act" ? act(svid.token, order) : svid;
}

async function act(svid: string, { delegation, resource, scope }: Errand): Promise<Report> {
  const client = await svidClient(issuer, svid, privateJwk);
  const response = await redeem(client, { delegation, resource, scope });
  const inbox = await callResource(client, response.access_token, "GET", `${resource}/inbox`);
  return { is: "acted", svid, response, inbox };
}
