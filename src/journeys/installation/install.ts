import { parseAudience } from "@countersign/sdk/model/audience";
import {
  logOf,
  newId,
  type OrganizationId,
  parseOrganizationId,
  systemLog,
} from "@countersign/sdk/model/ids";
import { principalOf, spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { apiScope } from "../../domain/resource.ts";
import type { AppendEntry } from "../../ledger/append.ts";
import type { Database } from "../../store/database.ts";
import {
  createInstallation,
  findInstallation,
  findInstallationProgress,
  type Installation,
  withInstallationLock,
} from "../../store/installation.ts";
import { findResourceByAudience } from "../../store/resources.ts";
import { credentialWrite, parsePublicKey } from "../public-key.ts";
import { publicHalfOf, readOrCreateOperatorKey } from "./operator-key-file.ts";

export interface InstallDeps {
  readonly db: Database;
  readonly append: AppendEntry;
  readonly now: () => number;
  readonly randomBytes: (size: number) => Uint8Array;
}

export interface InstallRequest {
  readonly issuer: string;
  readonly trustDomain: TrustDomain;
  readonly dataDir: string;
  /** Which of these nobody asked for: they make a first installation, and an existing one keeps its own. */
  readonly assumed?: readonly string[];
}

/** What every start finds or makes. */
export interface Installed {
  readonly installation: Installation;
  readonly organization: OrganizationId;
}

/** A setting is another than at the first start. The message is one line that names it and both values. */
export class InstalledOtherwiseError extends Error {
  override readonly name = "InstalledOtherwiseError";
}

const installer = { kind: "system", id: "installation" } as const;

/**
 * Makes what the first start makes, and finds it ever after: the installation and its log, the organization `default`
 * and its log, the Resource that is this server's own API, and the operator `local`, whose key lies in the data
 * directory. Each step is one commit and is left out when it is done, so a start that was killed is taken up by the
 * next, and of several at once one does the work.
 *
 * @throws InstalledOtherwiseError when an issuer or trust domain was asked for that is not the one of the first start; DomainError
 *   `ledger_unavailable`, `ledger_behind`
 */
export async function install(deps: InstallDeps, request: InstallRequest): Promise<Installed> {
  const organization = parseOrganizationId("default");
  if (organization === undefined) throw new Error("`default` is an organization's name");
  return withInstallationLock(deps.db, async () => {
    const installation = await establish(deps, request);
    const done = await findInstallationProgress(deps.db, organization);
    const { issuer, trustDomain } = installation;
    if (!done.systemLogHasEntries) {
      const detail = { issuer, trust_domain: trustDomain };
      await deps.append(systemLog, { entry: { type: "installation.created", actor: installer, detail } });
    }
    if (!done.organization) await makeOrganization(deps, organization);
    if (!done.organizationLog) await makeLog(deps, organization, originOf(issuer, logOf(organization)));
    await makeApiResource(deps, organization, `${issuer}/v1`);
    if (!done.operator) await makeLocalOperator(deps, organization, installation, request.dataDir);
    return { installation, organization };
  });
}

/** A log's origin: the issuer without its scheme, and the log's id. */
function originOf(issuer: string, log: string): string {
  return `${new URL(issuer).host}/log/${log}`;
}

async function establish(deps: InstallDeps, request: InstallRequest): Promise<Installation> {
  const { issuer, trustDomain, assumed = [] } = request;
  const origin = originOf(issuer, systemLog);
  await createInstallation(deps.db, { issuer, trustDomain, createdAtMs: deps.now(), origin });
  const installation = await findInstallation(deps.db);
  if (installation === undefined) throw new Error("the installation can't be read back");
  // Every token, SPIFFE ID and log names them: another issuer would be another installation.
  if (installation.issuer !== issuer && !assumed.includes("issuer")) {
    throw new InstalledOtherwiseError(
      `COUNTERSIGN_ISSUER is ${issuer}, but this installation was first started as ${installation.issuer}`,
    );
  }
  if (installation.trustDomain !== trustDomain && !assumed.includes("trustDomain")) {
    throw new InstalledOtherwiseError(
      `COUNTERSIGN_TRUST_DOMAIN is ${trustDomain}, but this installation was first started as ${installation.trustDomain}`,
    );
  }
  return installation;
}

async function makeOrganization(deps: InstallDeps, organization: OrganizationId): Promise<void> {
  const row = { id: organization, name: organization, created_at: new Date(deps.now()) };
  await deps.append(systemLog, {
    entry: { type: "organization.created", organization, actor: installer },
    writes: [{ into: "organization", row }],
  });
}

async function makeLog(deps: InstallDeps, organization: OrganizationId, origin: string): Promise<void> {
  const id = logOf(organization);
  const row = { id, organization_id: organization, origin, public: false, created_at: new Date(deps.now()) };
  await deps.append(systemLog, {
    entry: { type: "log.created", organization, actor: installer, detail: { log: id, origin } },
    writes: [{ into: "log", row }],
  });
}

async function makeApiResource(deps: InstallDeps, organization: OrganizationId, uri: string): Promise<void> {
  const audience = parseAudience(uri);
  if (audience === undefined) throw new Error(`${uri} is not an audience`);
  if ((await findResourceByAudience(deps.db, organization, audience)) !== undefined) return;
  const nowMs = deps.now();
  const id = newId("resource", nowMs, deps.randomBytes(16));
  const row = {
    id,
    organization_id: organization,
    audience,
    scope: apiScope,
    owner_id: null,
    open: false,
    status: "active",
    created_at: new Date(nowMs),
  } as const;
  await deps.append(logOf(organization), {
    entry: {
      type: "resource.created",
      organization,
      actor: installer,
      target: { kind: "resource", id },
      resource: audience,
      scope: [...apiScope],
    },
    writes: [{ into: "resource", row }],
  });
}

async function makeLocalOperator(
  deps: InstallDeps,
  organization: OrganizationId,
  { trustDomain }: Installation,
  dataDir: string,
): Promise<void> {
  const nowMs = deps.now();
  const proposed = {
    kind: "operator",
    organization,
    id: newId("operator", nowMs, deps.randomBytes(16)),
  } as const;
  // The key comes first: an operator in the database whose key nobody has could never be taken up again.
  const key = await readOrCreateOperatorKey(dataDir, spiffeIdOf(trustDomain, proposed));
  const principal = principalOf(trustDomain, key.clientId);
  if (principal?.kind !== "operator" || principal.organization !== organization) {
    throw new Error(
      `the operator key in ${dataDir} is ${key.clientId}, of another installation; move it away`,
    );
  }
  const publicKey = parsePublicKey(publicHalfOf(key));
  const { id } = principal;
  const row = {
    id,
    organization_id: organization,
    name: "local",
    status: "active",
    created_at: new Date(nowMs),
  } as const;
  await deps.append(logOf(organization), {
    entry: {
      type: "operator.created",
      organization,
      actor: installer,
      target: { kind: "operator", id },
      detail: { thumbprint: publicKey.thumbprint },
    },
    writes: [{ into: "operator", row }, credentialWrite(principal, publicKey, nowMs, deps.randomBytes(16))],
  });
}
