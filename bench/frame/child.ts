// One bench module in a process of its own: `child.ts NAME`. Its rows go to the parent as one message.
import { setTimeout as delay } from "node:timers/promises";
import { createClosing } from "../../src/app/closing.ts";
import { type Bench, judge } from "./row.ts";

const giveUpMs = 5_000;
const closing = createClosing();
let ending = false;

const measured = run();
for (const event of ["SIGINT", "SIGTERM", "SIGHUP", "disconnect"]) process.on(event, () => void endEarly());
await measured;

async function run(): Promise<void> {
  try {
    const { bench }: { readonly bench: Bench } = await import(`../${process.argv[2]}.ts`);
    const rows = await bench(closing);
    await closing.closeAll();
    if (!ending) process.send?.(rows.map(judge));
  } catch (error) {
    process.exitCode = 1;
    // What breaks because everything was just stopped is no failure of its own.
    if (!ending) console.error(error);
    await closing.closeAll();
  }
  if (ending) return;
  ending = true;
  process.disconnect();
}

/** Asked to end, or left alone by the parent: everything is stopped and removed before this process is gone. */
async function endEarly(): Promise<void> {
  if (ending) return;
  ending = true;
  await closing.closeAll().catch(console.error);
  // The bench breaks off when its server is gone, and closes what it opened meanwhile.
  await Promise.race([measured.catch(console.error), delay(giveUpMs)]);
  process.exit(130);
}
