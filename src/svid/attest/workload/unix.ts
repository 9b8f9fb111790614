import { costlyKinds } from "../../../domain/entry-index.ts";
import { createAccountNames } from "./account-names.ts";
import { selectorsOf, type WorkloadAttestor } from "./attestor.ts";
import { cgroupsOf, mainCgroup } from "./cgroups.ts";
import { createIsExactId, supplementaryGids } from "./credentials.ts";
import { createExecutables, type ExecutableDeps } from "./executable.ts";

/**
 * What the kernel of this machine knows of a process: `unix:uid`, `unix:gid`, `unix:supplementary_gid`, `unix:user`,
 * `unix:group`, `unix:path`, `unix:sha256`, `unix:cgroup`. Names are those of this machine's own files.
 */
export function createUnixAttestor(deps: ExecutableDeps): WorkloadAttestor {
  const executableOf = createExecutables(deps);
  const userOf = createAccountNames("/etc/passwd");
  const groupOf = createAccountNames("/etc/group");
  const isExactUid = createIsExactId("uid");
  const isExactGid = createIsExactId("gid");
  return {
    name: "unix",
    async attest(peer, wanted = new Set(costlyKinds)) {
      const { path, sha256 } = await executableOf(peer, wanted);
      // Read last: whoever became another user since it connected, or while its executable was read, is found out.
      const gids = supplementaryGids(peer)?.filter(isExactGid) ?? [];
      const uid = isExactUid(peer.uid) ? peer.uid : undefined;
      const gid = isExactGid(peer.gid) ? peer.gid : undefined;
      return selectorsOf("unix", [
        ["uid", uid],
        ["gid", gid],
        ["user", uid === undefined ? undefined : userOf(uid)],
        ["group", gid === undefined ? undefined : groupOf(gid)],
        ["path", path],
        ["sha256", sha256],
        ["cgroup", mainCgroup(cgroupsOf(peer.pid))],
        ...gids.map((each) => ["supplementary_gid", each] as const),
      ]);
    },
  };
}
