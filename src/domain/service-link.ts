/**
 * Whether Kubernetes put this variable there, for a Service called `countersign` or `countersign-…`: nobody set it, so
 * nobody can unset it.
 */
export function isServiceLink(name: string, value = ""): boolean {
  const addresses =
    /_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;
  return addresses.test(name) || (name.endsWith("_PORT") && /^(tcp|udp|sctp):\/\//.test(value));
}
