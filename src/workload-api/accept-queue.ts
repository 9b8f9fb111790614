import { readFileSync } from "node:fs";
import type { Server } from "node:net";
import type { Kernel } from "./kernel.ts";
import { fdOf } from "./peer.ts";

/** What is known of the connections that wait at a listening socket. */
export interface AcceptQueue {
  /**
   * When none waited, in ticks since the machine started, as late as is known: each that is accepted now was made after it,
   * and its maker lived then. Never, before the first look.
   */
  readonly emptyAtTicks: () => number;
  readonly watch: (listener: Server) => void;
  readonly close: () => void;
}

/** A tick of the clock by which processes' starts are told. @see proc_pid_stat(5) */
const lookEveryMs = 10;

/**
 * Looks again and again whether connections wait, where the kernel has no handles on those who made them; elsewhere there
 * is no need to. Who holds us up, or fills the queue, makes it look empty earlier than it was, never later.
 */
export function createAcceptQueue(kernel: Kernel, ticks = ticksNow): AcceptQueue {
  let emptyAtTicks = 0;
  let timer: NodeJS.Timeout | undefined;
  return {
    emptyAtTicks: () => emptyAtTicks,
    watch(listener) {
      if (kernel.hasPeerHandles) return;
      const look = () => {
        // Read first: none waited at a later time than this.
        const now = ticks();
        if (listener.listening && !kernel.hasWaiting(fdOf(listener))) emptyAtTicks = now;
      };
      look();
      timer = setInterval(look, lookEveryMs).unref();
    },
    close: () => clearInterval(timer),
  };
}

/** By the clock that stands still for nothing, in the hundredths of a second that it shares with processes' starts. @see proc_uptime(5) */
function ticksNow(): number {
  const [, seconds = "0", hundredths = "0"] =
    /^(\d+)\.(\d\d) /.exec(readFileSync("/proc/uptime", "latin1")) ?? [];
  return Number(seconds) * 100 + Number(hundredths);
}
