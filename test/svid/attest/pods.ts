import { startKubelet, type TestKubelet, type TestKubeletOptions } from "./kubelet-server.ts";

/** Of one pod with one container. */
export const uid = "72f7f152-440e-66ac-9084-e0fc1d8a910c";
export const containerId = "b2a102854b4969b2ce98dc329c86b4fb2b06e4ad2cc8da9d8a7578c9cd2004a2";
export const digest = `sha256:${"1".repeat(64)}`;
export const place = { podUid: uid, containerId };

/** The status of a container, as a kubelet tells of it. */
export function container(name: string, id: string, image = `registry.example/${name}:1`) {
  return { name, image, imageID: `registry.example/${name}@${digest}`, containerID: id, ready: true };
}

/** A pod, as a kubelet tells of it. */
export function pod(overrides: Record<string, unknown> = {}) {
  return {
    metadata: { name: "agent-0", namespace: "agents", uid, labels: { app: "agent" } },
    spec: { serviceAccountName: "mail-agent", nodeName: "node-1.example", containers: [{ name: "main" }] },
    status: {
      phase: "Running",
      initContainerStatuses: [container("init", `containerd://${"c".repeat(64)}`)],
      containerStatuses: [
        container("sidecar", `containerd://${"d".repeat(64)}`),
        container("main", `containerd://${containerId}`),
        { name: "waiting", image: "registry.example/waiting", imageID: "" },
      ],
    },
    ...overrides,
  };
}

/** What is true of the container. */
export const selectors = [
  "k8s:ns:agents",
  "k8s:sa:mail-agent",
  "k8s:pod-name:agent-0",
  `k8s:pod-uid:${uid}`,
  "k8s:container-name:main",
  "k8s:container-image:registry.example/main:1",
  `k8s:container-image:registry.example/main@${digest}`,
  "k8s:node-name:node-1.example",
];

const kubelets: TestKubelet[] = [];

/** A kubelet at a loopback address, until `closeKubelets`. */
export async function kubeletWith(
  options: TestKubeletOptions,
  scheme = "http",
): Promise<TestKubelet & { url: string }> {
  const kubelet = await startKubelet(options);
  kubelets.push(kubelet);
  return { ...kubelet, url: `${scheme}://127.0.0.1:${kubelet.port}` };
}

export function closeKubelets(): void {
  for (const kubelet of kubelets.splice(0)) kubelet.close();
}
