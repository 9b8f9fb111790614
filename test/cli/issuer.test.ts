import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { issuerKey } from "../oidc-issuer.ts";
import { run } from "./cli.ts";
import { serveCommands } from "./served-commands.ts";

const { server, directory, alice, answer, told, refusal, makeAgent } = await serveCommands();
const github = "https://token.actions.githubusercontent.com";

describe("issuer", () => {
  it("[TRU-005] is trusted for a tenant, shown, listed, and trusted no more", async () => {
    expect(await refusal("issuer", "create", "--issuer", github)).toBe("invalid_request");
    const words = ["--issuer", github, "--tenant", "repository_owner_id=1234", "--max-age", "5m"];
    const { id } = await answer("issuer", "create", ...words);
    expect(await answer("issuer", "show", id)).toMatchObject({
      issuer: github,
      audience: `${server.issuer}/org/default`,
      tenant_claim: { name: "repository_owner_id", value: "1234" },
      max_age_seconds: 300,
      status: "active",
    });
    expect(await told("issuer", "list")).toContain(
      `${id}  active  workload  published  ${github}  repository_owner_id=1234`,
    );
    expect(await refusal("issuer", "create", ...words)).toBe("conflict");
    expect(await told("issuer", "delete", id)).toMatch(
      new RegExp(`^issuer ${id} is distrusted\nrecorded: log default, entry \\d+$`),
    );
    expect(await refusal("issuer", "delete", id)).toBe("conflict");
  });

  it("maps subjects to agents, and unmaps them", async () => {
    const file = join(directory, "jwks.json");
    writeFileSync(file, JSON.stringify({ keys: [(await issuerKey("one", "ES256")).publicJwk] }));
    const made = await answer("issuer", "create", "--issuer", "https://ci.example", "--jwks", file);
    expect(made.pinned).toBe(true);
    const agent = await makeAgent("deployer");
    const words = ["--subject", "job:deploy", "--claim", "environment=production"];
    const mapped = await answer("issuer", "map", made.id, ...words, "--agent", agent.id);
    expect(mapped).toMatchObject({ subject: "job:deploy", claims: { environment: "production" } });
    await answer("issuer", "map", made.id, "--owner", alice, "--name-prefix", "job ");
    const again = ["issuer", "map", made.id, "--owner", alice];
    expect((await run(again, server.environment)).err).toMatch(/: it is map_\w+$/);
    const listed = await told("issuer", "subjects", made.id);
    expect(listed).toContain(`job:deploy environment=production  ${agent.id}`);
    expect(listed).toContain(`everybody                          an agent each, of ${alice}`);
    expect(await told("issuer", "unmap", made.id, mapped.id)).toContain("is unmapped");
  });

  it("says what a platform signs of an agent's configuration, and how many agents it may make", async () => {
    const words = [
      "--issuer",
      "https://platform.example",
      "--checksum-claim",
      "agent_checksum",
      "--max-agents",
      "7",
    ];
    const { id } = await answer("issuer", "create", ...words);
    expect(await answer("issuer", "show", id)).toMatchObject({
      kind: "workload",
      checksum_claims: ["agent_checksum"],
      max_agents: 7,
    });
  });

  it("[TRU-034] may be an identity provider, whose subjects are users", async () => {
    const words = ["--issuer", "https://idp.example", "--kind", "id_jag"];
    const { id } = await answer("issuer", "create", ...words);
    expect(await answer("issuer", "show", id)).toMatchObject({ kind: "id_jag", audience: server.issuer });
    await answer("issuer", "map", id, "--subject", "U-17", "--user", alice);
    expect(await told("issuer", "subjects", id)).toContain(`U-17  ${alice}`);
    const agent = await makeAgent("clerk");
    expect(await refusal("issuer", "map", id, "--subject", "U-18", "--agent", agent.id)).toBe(
      "invalid_request",
    );
  });

  it("says which words don't go together", async () => {
    const wrong = [
      ["map", "iss_01k9", "--subject", "x"],
      ["map", "iss_01k9", "--agent", "agt_1", "--owner", "usr_1"],
      ["map", "iss_01k9", "--agent", "agt_1", "--kind", "tool"],
      ["map", "iss_01k9", "--agent", "agt_1", "--claim", "nothing"],
      ["map", "iss_01k9", "--agent", "agt_1", "--claim", "a=1", "--claim", "a=2"],
      ["create", "--issuer", "https://ci.example", "--algorithm", "none"],
      ["create", "--issuer", "https://ci.example", "--max-age", "2h"],
      ["create", "--issuer", "https://ci.example", "--tenant", "acme"],
      ["map", "iss_01k9", "--user", "usr_1"],
      ["map", "iss_01k9", "--subject", "x", "--user", "usr_1", "--claim", "a=1"],
    ];
    for (const words of wrong) {
      const { exit } = await run(["issuer", ...words], server.environment);
      expect([words, exit]).toEqual([words, 2]);
    }
  });
});
