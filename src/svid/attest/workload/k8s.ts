import type { Selector } from "@countersign/sdk/model/selector";
import { z } from "zod";
import type { KubeletPlace } from "../../../domain/kubelet.ts";
import { selectorsOf, type WorkloadAttestor } from "./attestor.ts";
import { areOutOfSight, parseCgroups } from "./cgroups.ts";
import { createReadPods, type KubeletDeps, type ReadPods } from "./kubelet.ts";
import { type PodPlace, podPlaceOf } from "./pod-cgroup.ts";

interface PodDeps extends KubeletDeps {
  readonly wait: (ms: number) => Promise<unknown>;
}

export interface K8sDeps extends PodDeps {
  /** What the kernel says of the control groups of a process. @see cgroups(7) */
  readonly readCgroups: (pid: number) => string;
}

/** How often, and after how long, the kubelet is asked anew for a container that it does not tell of yet. */
const attemptsMax = 10;
const betweenMs = 500;

/** Names of Kubernetes: a DNS label or subdomain. */
const name = z.string().regex(/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/);
const statuses = z.array(z.unknown()).nullish();
const podSchema = z.looseObject({
  metadata: z.looseObject({ name, namespace: name, uid: z.string() }),
  spec: z.looseObject({ serviceAccountName: name.nullish(), nodeName: name.nullish() }),
  status: z.looseObject({
    containerStatuses: statuses,
    initContainerStatuses: statuses,
    ephemeralContainerStatuses: statuses,
  }),
});
const containerSchema = z.looseObject({
  name,
  containerID: z.string(),
  image: z.string().nullish(),
  imageID: z.string().nullish(),
});
type Container = z.infer<typeof containerSchema>;

/**
 * What Kubernetes calls the container that a process runs in: `k8s:ns`, `k8s:sa`, `k8s:pod-name`, `k8s:pod-uid`,
 * `k8s:container-name`, `k8s:container-image` (by tag, and by digest where the runtime tells it) and `k8s:node-name`. The
 * control groups tell which container it is, and this machine's kubelet the rest. Nothing outside of pods.
 *
 * @throws Error when the kubelet may not be asked at that URL
 */
export function createK8sAttestor(deps: K8sDeps, kubelet: KubeletPlace): WorkloadAttestor {
  const readPods = createReadPods(deps, kubelet);
  return {
    name: "k8s",
    async attest({ pid }) {
      const text = deps.readCgroups(pid);
      const place = podPlaceOf(parseCgroups(text), kubelet.cgroupRoot);
      if (place !== undefined) return await podSelectors(deps, readPods, place);
      if (areOutOfSight(text))
        throw new Error("its control groups are out of sight: run in the machine's own cgroup namespace");
      return [];
    },
  };
}

/** Tells which container a process is in, as the control groups have it alone; undefined outside of pods. */
export function containersAt(
  { readCgroups }: Pick<K8sDeps, "readCgroups">,
  { cgroupRoot }: KubeletPlace,
): (pid: number) => string | undefined {
  return (pid) => podPlaceOf(parseCgroups(readCgroups(pid)), cgroupRoot)?.containerId;
}

/**
 * The selectors of a container that the kubelet knows. A kubelet tells of a container a moment after that has begun to run:
 * until then it is asked again.
 *
 * @throws Error when it does not know it even then
 */
export async function podSelectors(
  { now, wait }: PodDeps,
  readPods: ReadPods,
  place: PodPlace,
): Promise<readonly Selector[]> {
  let found = find(await readPods(), place);
  for (let attempt = 0; found === undefined && attempt < attemptsMax; attempt++) {
    if (attempt > 0) await wait(betweenMs);
    found = find(await readPods(now()), place);
  }
  if (found === undefined) throw new Error(`the kubelet knows no container ${place.containerId} in its pod`);
  const { metadata, spec, container } = found;
  return selectorsOf("k8s", [
    ["ns", metadata.namespace],
    ["sa", spec.serviceAccountName ?? undefined],
    ["pod-name", metadata.name],
    ["pod-uid", metadata.uid],
    ["container-name", container.name],
    ["container-image", container.image ?? undefined],
    ["container-image", digestOf(container.imageID ?? "")],
    ["node-name", spec.nodeName ?? undefined],
  ]);
}

function find(pods: ReadonlyMap<string, unknown>, { podUid, containerId }: PodPlace) {
  const item = pods.get(podUid);
  if (item === undefined) return undefined;
  const { metadata, spec, status } = podSchema.parse(item);
  const all = [status.containerStatuses, status.initContainerStatuses, status.ephemeralContainerStatuses];
  const [container, ...others] = all.flatMap((each) =>
    (each ?? []).flatMap((one) => running(one, containerId)),
  );
  return container === undefined || others.length > 0 ? undefined : { metadata, spec, container };
}

/** A container has no id before it was started. @see v1.ContainerStatus: `containerID` is `<type>://<id>` */
function running(status: unknown, containerId: string): readonly Container[] {
  const container = containerSchema.safeParse(status);
  return container.success && container.data.containerID.endsWith(`://${containerId}`)
    ? [container.data]
    : [];
}

/** `repository@sha256:…`; undefined for an id that tells no repository. */
function digestOf(imageId: string): string | undefined {
  return /^(?:docker-pullable:\/\/)?([^@\s]+@sha256:[0-9a-f]{64})$/.exec(imageId)?.[1];
}
