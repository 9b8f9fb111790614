import { dirname } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { type Cli, CommandError, table } from "./cli.ts";
import { defineCommand, optional } from "./define.ts";
import { openMailbox } from "./demo/mailbox.ts";
import { createNarrator, type Narrator } from "./demo/narrator.ts";
import { playStory } from "./demo/story.ts";
import { startThrowawayServer, type ThrowawayServer } from "./demo/throwaway-server.ts";

/** `countersign demo`: the README's story, played against a throwaway server through its public interfaces. */
export function addDemoCommand(program: Command, cli: Cli): void {
  defineCommand(program, cli, {
    usage: "demo",
    description: "play the story of the README against a throwaway server",
    example: "--keep",
    options: [optional("--keep", "leave the server up and print its addresses")],
    given: z.object({ keep: z.boolean().default(false) }),
    run: async ({ keep, json }) => {
      const startedMs = cli.now();
      const asked = cli.untilAsked();
      const narrator = createNarrator((text) => (json ? cli.note(text) : cli.print(text)));
      const server = await startThrowawayServer(cli, keep);
      let succeeded = false;
      try {
        await playUntil(asked, cli, server, narrator);
        succeeded = true;
      } finally {
        if (!(keep && succeeded)) await server.stop();
      }
      const seconds = Math.round((cli.now() - startedMs) / 100) / 10;
      const kept = keep ? addressesOf(server) : undefined;
      return {
        json: { ok: true, seconds, steps: narrator.steps, ...(kept && { kept }) },
        text: [
          `All ${narrator.steps.length} steps went as they should, in ${seconds} s.`,
          ...(kept ? ["", "The server is still up:", table(Object.entries(kept))] : []),
        ].join("\n"),
      };
    },
  });
}

/** Plays the story, unless the process is asked to end first. */
async function playUntil(
  asked: Promise<void>,
  cli: Cli,
  server: ThrowawayServer,
  narrator: Narrator,
): Promise<void> {
  const interrupted = asked.then(() => {
    throw new CommandError(
      "interrupted",
      "the demo was interrupted; its server is stopped and its data removed",
    );
  });
  const mailbox = await openMailbox(cli, server.issuer, ["Lunch on Friday?"]);
  const archive = await openMailbox(cli, server.issuer, ["The invoice of last year"]);
  try {
    await Promise.race([playStory({ cli, server, mailbox, archive, narrator }), interrupted]);
  } finally {
    await Promise.all([mailbox, archive].map((opened) => opened.close()));
  }
}

function addressesOf({ issuer, dataDir, pid }: ThrowawayServer): Record<string, string> {
  return {
    issuer,
    discovery: `${issuer}/.well-known/openid-configuration`,
    health: `${issuer}/readyz`,
    data: dataDir,
    "talk to it": `COUNTERSIGN_SERVER=${issuer} COUNTERSIGN_DATA_DIR=${dataDir} countersign doctor`,
    "stop it": `kill ${pid}`,
    "and then": `rm -r ${dirname(dataDir)}`,
  };
}
