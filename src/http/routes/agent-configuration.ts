import {
  approveAgentChecksum,
  declareAgentConfiguration,
  listAgentChecksums,
  withdrawAgentChecksum,
} from "@countersign/sdk/contract/agent-configuration";
import type { Router } from "express";
import type { ChecksumApproval } from "../../domain/agent-checksum.ts";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { found } from "../found.ts";
import { pageAfter } from "../page.ts";

/** `/v1/agents/{id}/configuration` and `…/checksums`: what an agent says that it is, and what it may be. */
export function mountAgentConfiguration(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, declareAgentConfiguration, ({ caller, context, params, body }) =>
    deps.journeys.declareConfiguration({ caller, context, agent: params.id, configuration: body }),
  );
  mount(router, deps, listAgentChecksums, async ({ caller: { organization }, params: { id }, query }) => {
    found(await deps.records.findAgent(organization, id));
    const approvals = await deps.records.listChecksums(organization, id, pageAfter(query));
    const last = approvals.at(-1);
    const next = approvals.length < query.limit ? undefined : last?.checksum;
    return { items: approvals.map(approvalToWire), next };
  });
  mount(router, deps, approveAgentChecksum, async ({ caller, context, params: { id }, body }) => {
    const request = { caller, context, agent: id, checksum: body.checksum };
    const { ledger, ...approval } = await deps.journeys.approveChecksum(request);
    return { ...approvalToWire(approval), ledger };
  });
  mount(router, deps, withdrawAgentChecksum, async ({ caller, context, params: { id, checksum } }) => {
    const request = { caller, context, agent: id, checksum };
    const { ledger, ...approval } = await deps.journeys.withdrawChecksum(request);
    return { ...approvalToWire(approval), ledger };
  });
}

function approvalToWire({ agent, checksum, status, approvedAtMs, withdrawnAtMs }: ChecksumApproval) {
  const timeOf = (ms: number) => new Date(ms).toISOString();
  const withdrawn = withdrawnAtMs !== undefined && { withdrawn_at: timeOf(withdrawnAtMs) };
  return { agent, checksum, status, approved_at: timeOf(approvedAtMs), ...withdrawn };
}
