import { idParams } from "./fields.ts";
import { operation } from "./operation.ts";
import { revocationReceiptSchema } from "./revocation-receipt.ts";

export const revokeToken = operation({
  name: "revokeToken",
  method: "post",
  path: "/v1/tokens/{id}/revoke",
  summary: "Ends one access token by its jti, for whoever does not hold the token itself.",
  anyOf: ["admin"],
  params: idParams("token"),
  answer: revocationReceiptSchema,
});
