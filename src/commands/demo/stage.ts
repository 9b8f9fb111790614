import type { Cli } from "../cli.ts";
import type { Mailbox } from "./mailbox.ts";
import type { Narrator } from "./narrator.ts";
import type { ThrowawayServer } from "./throwaway-server.ts";

/** What every scene of the story plays on. */
export interface Stage {
  readonly cli: Cli;
  readonly server: ThrowawayServer;
  readonly mailbox: Mailbox;
  /** Where Alice's old mail lies: a resource server of its own. */
  readonly archive: Mailbox;
  readonly narrator: Narrator;
}
