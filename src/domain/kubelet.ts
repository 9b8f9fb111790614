/** Where the kubelet of a machine answers, and how we prove to it who we are. */
export interface KubeletPlace {
  /** `https://…:10250`; http is for a loopback address alone. */
  readonly url: string;
  /** Files in PEM, or of one token, read anew for each request: Kubernetes replaces them while we run. */
  readonly caFile?: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly certificateFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** As the kubelet's own `--cgroup-root`: `/` unless it was told otherwise. */
  readonly cgroupRoot?: string | undefined;
}
