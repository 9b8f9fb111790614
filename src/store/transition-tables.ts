import type { Transition } from "./write.ts";

/** The tables whose rows have a status, as SQL names them. */
export const transitionTables: Readonly<Record<Transition["set"], string>> = {
  user: '"user"',
  agent: "agent",
  resource: "resource",
  operator: "operator",
  credential: "credential",
  delegation: "delegation",
  signing_key: "signing_key",
  agent_checksum: "agent_checksum",
  registration_entry: "registration_entry",
  join_token: "join_token",
  node: "node",
  node_svid: "node_svid",
  trusted_issuer: "trusted_issuer",
  subject_mapping: "subject_mapping",
  federated_trust_domain: "federated_trust_domain",
  policy_proposal: "policy_proposal",
};
