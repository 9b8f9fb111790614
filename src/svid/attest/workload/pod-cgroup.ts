import type { Cgroup } from "./cgroups.ts";

/** Where in Kubernetes a process runs, as its control groups tell. */
export interface PodPlace {
  readonly podUid: string;
  /** What the container runtime calls the container: 64 hex digits. */
  readonly containerId: string;
}

const qosClasses = ["burstable", "besteffort"];
/** A UUID, or the hash of its configuration for a pod that the kubelet has from a file. */
const podUid = /^(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})$/;
/** The kubelet's cgroupfs driver: CRI-O alone puts its name before the id. */
const cgroupfsContainer = /^(?:crio-)?([0-9a-f]{64})$/;
/** The kubelet's systemd driver: containerd, CRI-O, docker. What monitors a CRI-O container, `crio-conmon-…`, is not in it. */
const systemdContainer = /^(?:cri-containerd|crio|docker)-([0-9a-f]{64})\.scope$/;
/** containerd that has its own cgroupfs driver under a kubelet that has systemd's: all in one component, below containerd. */
const mixedContainer = /^(.+\.slice):cri-containerd:([0-9a-f]{64})$/;
const belowContainerd = ["system.slice", "containerd.service"];

/**
 * The container that all the control groups of a process agree on. Only what begins where the kubelet itself puts its pods
 * counts: below, a container, and elsewhere a user, may make groups of any name.
 *
 * @param cgroupRoot as the kubelet's own `--cgroup-root`: `/` unless it was told otherwise
 */
export function podPlaceOf(cgroups: readonly Cgroup[], cgroupRoot = "/"): PodPlace | undefined {
  const root = componentsOf(cgroupRoot);
  const places = cgroups.flatMap(({ path }) => placeOf(componentsOf(path), root) ?? []);
  const [place, ...others] = places;
  const isOne = others.every(
    (other) => other.podUid === place?.podUid && other.containerId === place.containerId,
  );
  return isOne ? place : undefined;
}

function componentsOf(path: string): readonly string[] {
  return path.split("/").filter((component) => component !== "");
}

function placeOf(components: readonly string[], root: readonly string[]): PodPlace | undefined {
  const pods = [[...root, "kubepods"], ...qosClasses.map((qos) => [...root, "kubepods", qos])];
  for (const parents of pods) {
    const place =
      byCgroupfs(components, parents) ?? bySystemd(components, parents) ?? byBoth(components, parents);
    if (place !== undefined) return place;
  }
  return undefined;
}

function byCgroupfs(components: readonly string[], parents: readonly string[]): PodPlace | undefined {
  const [pod, container] = below(components, parents) ?? [];
  return placed(/^pod(.*)$/.exec(pod ?? "")?.[1], cgroupfsContainer.exec(container ?? "")?.[1]);
}

function bySystemd(components: readonly string[], parents: readonly string[]): PodPlace | undefined {
  const slices = parents.map((_, place) => `${sliceName(parents.slice(0, place + 1))}.slice`);
  const [pod, container] = below(components, slices) ?? [];
  return placed(podUidOf(pod, parents), systemdContainer.exec(container ?? "")?.[1]);
}

function byBoth(components: readonly string[], parents: readonly string[]): PodPlace | undefined {
  const [component] = below(components, belowContainerd) ?? [];
  const [, pod, container] = mixedContainer.exec(component ?? "") ?? [];
  return placed(podUidOf(pod, parents), container);
}

/** `kubepods-burstable-pod<uid>.slice`: systemd takes a dash for a level, so that there are underscores in the uid. */
function podUidOf(slice: string | undefined, parents: readonly string[]): string | undefined {
  const prefix = `${sliceName(parents)}-pod`;
  if (slice === undefined) return undefined;
  const isPod = slice.startsWith(prefix) && slice.endsWith(".slice");
  return isPod ? slice.slice(prefix.length, -".slice".length).replaceAll("_", "-") : undefined;
}

function sliceName(parts: readonly string[]): string {
  return parts.map((part) => part.replaceAll("-", "_")).join("-");
}

function placed(uid: string | undefined, containerId: string | undefined): PodPlace | undefined {
  const isPlace = uid !== undefined && containerId !== undefined && podUid.test(uid);
  return isPlace ? { podUid: uid, containerId } : undefined;
}

/** The components that follow on these; undefined where it does not begin with them. */
function below(components: readonly string[], parents: readonly string[]): readonly string[] | undefined {
  const begins = parents.every((parent, place) => components[place] === parent);
  return begins ? components.slice(parents.length) : undefined;
}
