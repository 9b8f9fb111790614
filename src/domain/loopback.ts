/** Whether a host, as a URL has it, or an address is this machine alone. */
export function isLoopback(host: string): boolean {
  return ["localhost", "[::1]", "::1"].includes(host) || /^127(\.\d+){3}$/.test(host);
}
