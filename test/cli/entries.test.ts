import { beforeAll, describe, expect, it } from "vitest";
import { run } from "./cli.ts";
import { serveCommands } from "./served-commands.ts";

const { server, alice, answer, refusal } = await serveCommands();
let agent: { readonly id: string; readonly spiffeId: string };

beforeAll(async () => {
  agent = await answer("agent", "create", "--owner", alice, "--name", "keyless", "--no-key");
});

const create = (...words: string[]) => answer("entry", "create", "--agent", agent.id, ...words);
const one = ["--selector", "unix:uid:4242", "--selector", "unix:path:/usr/bin/agent"];

describe("entry", () => {
  it("[ENT-003] says which workloads are an agent, is listed and shown, and deleted once", async () => {
    const made = await create(...one, "--hint", "mail", "--dns", "agent.example", "--jwt-ttl", "1m");
    expect(made).toMatchObject({
      spiffe_id: agent.spiffeId,
      selectors: ["unix:path:/usr/bin/agent", "unix:uid:4242"],
      jwt_ttl_seconds: 60,
      x509_ttl_seconds: 3600,
      dns_names: ["agent.example"],
      hint: "mail",
      ledger: { log: "default" },
    });
    expect((await answer("entry", "list", "--selector", "unix:uid:4242")).items).toMatchObject([
      { id: made.id },
    ]);
    expect((await answer("entry", "list", "--selector", "unix:uid:1")).items).toEqual([]);
    expect((await answer("entry", "show", made.id)).status).toBe("active");
    expect((await answer("entry", "delete", made.id)).status).toBe("deleted");
    expect(await refusal("entry", "delete", made.id)).toBe("conflict");
    expect((await answer("entry", "list", "--agent", agent.id)).items).toEqual([]);
    expect((await answer("entry", "show", made.id)).status).toBe("deleted");
  });

  it("[ENT-003] is one: the same selectors in whatever order are refused while it stands", async () => {
    const made = await create(...one);
    expect(
      await refusal(
        "entry",
        "create",
        "--agent",
        agent.id,
        "--selector",
        "unix:path:/usr/bin/agent",
        "--selector",
        "unix:uid:4242",
      ),
    ).toBe("conflict");
    const words = ["entry", "create", "--agent", agent.id, ...one];
    expect((await run(words, server.environment)).err).toMatch(new RegExp(`: it is ${made.id}$`));
    await answer("entry", "delete", made.id);
    const again = await create(...one);
    await answer("entry", "delete", again.id);
  });

  it("[ENT-004] takes no selector that no attestor finds, no agent that is not there, no lifetime beyond its bound", async () => {
    const refused = async (...words: string[]) =>
      await refusal("entry", "create", "--agent", agent.id, ...words);
    expect(await refused("--selector", "unix:udi:1")).toBe("invalid_request");
    expect(await refused("--selector", "unix:user:a\u202eb")).toBe("invalid_request");
    for (const never of ["unix:uid:abc", "unix:gid:x", "unix:uid:007", "unix:sha256:xy", "agent_checksum:5E"])
      expect(await refused("--selector", never)).toBe("invalid_request");
    const unfound = [
      "unix:path:",
      "unix:path:rel",
      "unix:path:/a/../b",
      "unix:path:/a//b",
      "unix:path:/a/",
      "unix:user:",
    ];
    const elsewhere = [
      "unix:cgroup:",
      "unix:cgroup:a",
      "systemd:unit:",
      "systemd:unit:mail",
      "k8s:ns:",
      "k8s:ns:A_b",
    ];
    for (const never of [...unfound, ...elsewhere, "k8s:pod-name:", "k8s:container-image:", "k8s:sa:Default"])
      expect([never, await refused("--selector", never)]).toEqual([never, "invalid_request"]);
    for (const found of [
      "unix:path:/usr/bin/..hidden",
      "unix:cgroup:/",
      "systemd:unit:a@b.service",
      "k8s:sa:a.b",
    ])
      await answer("entry", "create", "--agent", agent.id, "--selector", found);
    expect(await refused("--selector", "unix:uid:1", "--x509-ttl", "2h")).toBe("invalid_request");
    expect(await refused("--selector", "unix:uid:1", "--dns", "-a.example")).toBe("invalid_request");
    const nobody = [
      "entry",
      "create",
      "--agent",
      "agt_01arz3ndektsv4rrffq69g5fav",
      "--selector",
      "unix:uid:1",
    ];
    expect(await refusal(...nobody)).toBe("not_found");
  });

  it("notes what gives nobody anything for now: a stopped agent, a trust domain that is not federated with", async () => {
    const { id } = await answer("agent", "create", "--owner", alice, "--name", "stopped", "--no-key");
    await answer("agent", "suspend", id);
    const words = ["entry", "create", "--agent", id, ...one, "--federates-with", "partner.example"];
    const { exit, err } = await run(words, server.environment);
    expect(exit).toBe(0);
    expect(err).toMatch(/^note: the agent is suspended: .*\nnote: nobody federates with partner\.example/);
  });

  it("says what one broad selector means, and where a change is recorded", async () => {
    const words = ["entry", "create", "--agent", agent.id, "--selector", "unix:uid:4243"];
    const { err, out } = await run(words, server.environment);
    expect(err).toContain("every process with unix:uid:4243 is this agent");
    expect(out).toMatch(/recorded: log default, entry \d+$/);
  });
});
