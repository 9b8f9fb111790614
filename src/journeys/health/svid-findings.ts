import type { Overdrawn } from "../../domain/svid-rates.ts";
import type { Finding } from "./finding.ts";

const toldMax = 16;

/** Of which entries more JWT-SVIDs were asked for than there are in a day: those that were refused last, first. */
export function overdrawnFindings(overdrawn: readonly Overdrawn[]): Finding[] {
  return overdrawn
    .toSorted((one, other) => other.lastAtMs - one.lastAtMs)
    .slice(0, toldMax)
    .map(({ entry, lastAtMs }) => ({
      name: "JWT-SVIDs",
      state: "warning",
      detail: `${entry}: more were asked for than there are in a day, last at ${new Date(lastAtMs).toISOString()}: its workloads should use the ones that they have`,
    }));
}
