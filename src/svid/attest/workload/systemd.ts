import { selectorsOf, type WorkloadAttestor } from "./attestor.ts";
import { cgroupsOf, mainCgroup } from "./cgroups.ts";

const unitCharsMax = 255;
const unit = /^[A-Za-z0-9:_.\\@-]+\.(?:service|scope|socket|mount|swap)$/;

/** `systemd:unit`: which unit of the system's own systemd a process belongs to. */
export function createSystemdAttestor(): WorkloadAttestor {
  return {
    name: "systemd",
    async attest({ pid }) {
      return selectorsOf("systemd", [["unit", unitOf(mainCgroup(cgroupsOf(pid)) ?? "/")]]);
    },
  };
}

/**
 * The unit that a control group is of: what follows on the slices at its beginning. What comes below was made by the unit
 * itself, by a user's own systemd or one in a container, under any name that its maker liked.
 */
export function unitOf(cgroup: string): string | undefined {
  const name = cgroup
    .split("/")
    .slice(1)
    .find((each) => !each.endsWith(".slice"));
  // systemd puts an underscore before what would look like a file of the kernel's.
  const unescaped = name?.replace(/^_/, "") ?? "";
  return unit.test(unescaped) && unescaped.length <= unitCharsMax ? unescaped : undefined;
}
