import { DomainError } from "../domain/domain-error.ts";
import type { SvidSource } from "../domain/svid-source.ts";

/** A source that is asked before it is there says so, and may be asked again. */
export function sourceOnceOpen(opened: () => SvidSource | undefined): SvidSource {
  function source(): SvidSource {
    const found = opened();
    if (found === undefined) throw new DomainError("ledger_unavailable", "the node has not joined yet");
    return found;
  }
  return {
    get trustDomain() {
      return source().trustDomain;
    },
    attest: async (peer) => source().attest(peer),
    wantedKinds: () => source().wantedKinds(),
    x509Svids: async (workload) => source().x509Svids(workload),
    jwtSvids: async (workload, request) => source().jwtSvids(workload, request),
    bundles: async (workload) => source().bundles(workload),
    onChange: (listener) => source().onChange(listener),
  };
}
