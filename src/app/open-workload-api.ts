import { chmod, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { Logger } from "pino";
import type { KubeletPlace } from "../domain/kubelet.ts";
import type { SvidSource } from "../domain/svid-source.ts";
import { openSocketDirectory } from "../store/postgres/socket-directory.ts";
import { readCgroups } from "../svid/attest/workload/cgroups.ts";
import { containersAt } from "../svid/attest/workload/k8s.ts";
import { openKernel } from "../workload-api/kernel.ts";
import {
  startWorkloadApi,
  type WorkloadApi,
  type WorkloadApiDeps,
  type WorkloadApiLimits,
} from "../workload-api/workload-api.ts";

export interface OpenWorkloadApiDeps {
  readonly source: SvidSource;
  readonly logger: Logger;
  /** Whether an error means that the database does not answer. */
  readonly isOutage: (error: unknown) => boolean;
  /** Told of what is refused. */
  readonly onRefused?: NonNullable<WorkloadApiDeps["onRefused"]>;
  /** Whose pods run on this machine; undefined: containers are not told apart. */
  readonly kubelet?: KubeletPlace | undefined;
}

export interface WorkloadApiPlace {
  readonly socketPath: string;
  /** Other users are let through this directory of ours to the socket in it, though not to look around; others stay as they are. */
  readonly dataDir?: string;
  readonly limits?: Partial<WorkloadApiLimits>;
}

/**
 * Serves the Workload API at a socket that every user of the machine may connect to: who they are is what it is about.
 *
 * @throws SocketTakenError where another server serves it; Error in one line on another system than Linux
 */
export async function openWorkloadApi(
  { kubelet, ...given }: OpenWorkloadApiDeps,
  { socketPath, dataDir, limits }: WorkloadApiPlace,
): Promise<WorkloadApi> {
  const kernel = await openKernel();
  if (dataDir !== undefined) await letOthersThrough(given.logger, dataDir);
  const directory = await openSocketDirectory(dirname(socketPath), `/${basename(socketPath)}`);
  try {
    const containerOf = kubelet && containersAt({ readCgroups }, kubelet);
    const deps = { ...given, ...(containerOf && { containerOf }), kernel, now: Date.now };
    const api = await startWorkloadApi(deps, `${directory.path}/${basename(socketPath)}`, limits);
    const close = async () => {
      await api.close();
      await directory.close();
    };
    return { ...api, close };
  } catch (error) {
    await directory.close();
    throw error;
  }
}

/** Every secret in a data directory lies in a directory of its own that only its owner enters. */
async function letOthersThrough(logger: Logger, dataDir: string): Promise<void> {
  const { mode } = await stat(dataDir);
  if ((mode & 0o011) === 0o011) return;
  try {
    await chmod(dataDir, (mode & 0o7777) | 0o011);
  } catch (err) {
    logger.warn(
      { err },
      `only this account reaches the Workload API; let others through with chmod a+x ${dataDir}`,
    );
  }
}
