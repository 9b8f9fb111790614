import type { KubeletPlace } from "../domain/kubelet.ts";
import { demandKubeletUrl } from "../svid/attest/workload/kubelet.ts";
import { UsageError } from "./cli.ts";
import { optional, someText } from "./define.ts";

/** Of whatever serves the Workload API on a machine of a Kubernetes cluster. */
export const kubeletOptions = [
  optional("--kubelet <url>", "ask this machine's kubelet which pod a workload is in: https://…:10250"),
  optional("--kubelet-ca <file>", "PEM file of the authorities that the kubelet's certificate is signed by"),
  optional("--kubelet-token <file>", "service-account token to show to the kubelet"),
  optional("--kubelet-cert <file>", "PEM file of a client certificate to show to the kubelet"),
  optional("--kubelet-key <file>", "PEM file of that certificate's key"),
  optional("--kubelet-cgroup-root <path>", "the kubelet's own cgroupRoot, where that is not /"),
];

/** What they are given as. */
export const kubeletGiven = {
  kubelet: someText.optional(),
  kubeletCa: someText.optional(),
  kubeletToken: someText.optional(),
  kubeletCert: someText.optional(),
  kubeletKey: someText.optional(),
  kubeletCgroupRoot: someText.optional(),
};

type Given = { readonly [Name in keyof typeof kubeletGiven]?: string | undefined };

/**
 * The kubelet that is asked.
 *
 * @returns undefined where none was named
 * @throws UsageError for a URL at which none may be asked, or options without one
 */
export function kubeletOf(given: Given): KubeletPlace | undefined {
  const { kubelet: url, kubeletCa, kubeletToken, kubeletCert, kubeletKey, kubeletCgroupRoot } = given;
  const others = [kubeletCa, kubeletToken, kubeletCert, kubeletKey, kubeletCgroupRoot];
  if (url === undefined) {
    if (others.some((one) => one !== undefined))
      throw new UsageError("--kubelet: say which kubelet is asked");
    return undefined;
  }
  try {
    demandKubeletUrl(url);
  } catch (error) {
    throw new UsageError("--kubelet: must be https, or http at a loopback address", { cause: error });
  }
  if ((kubeletCert === undefined) !== (kubeletKey === undefined))
    throw new UsageError("--kubelet-cert and --kubelet-key are given together");
  return {
    url,
    caFile: kubeletCa,
    tokenFile: kubeletToken,
    certificateFile: kubeletCert,
    keyFile: kubeletKey,
    cgroupRoot: kubeletCgroupRoot,
  };
}
