import type { RequestListener } from "node:http";
import express from "express";
import { sendTrustBundle, type TrustBundleDeps } from "./routes/trust-bundle.ts";

/** What the bundle endpoint answers: the trust bundle at two paths, and nothing at any other. */
export function createBundleFace(deps: TrustBundleDeps): RequestListener {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.set("query parser", "simple");
  app.get(["/", "/spiffe/bundle"], sendTrustBundle(deps));
  app.use((_request, response) => void response.status(404).end());
  return app;
}
