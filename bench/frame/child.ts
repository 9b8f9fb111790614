// One bench module in a process of its own: `child.ts NAME`. Its rows go to the parent as one message.
import { createClosing } from "../../src/app/closing.ts";
import { type Bench, judge } from "./row.ts";

const closing = createClosing();
let ending = false;

/** Asked to end, or left alone by the parent: everything is stopped and removed before this process is gone. */
function endEarly(): void {
  if (ending) return;
  ending = true;
  closing.closeAll().finally(() => process.exit(130));
}
for (const event of ["SIGINT", "SIGTERM", "SIGHUP", "disconnect"]) process.on(event, endEarly);

try {
  const { bench }: { readonly bench: Bench } = await import(`../${process.argv[2]}.ts`);
  const rows = await bench(closing);
  process.send?.(rows.map(judge));
} catch (error) {
  // What breaks because everything was just stopped is no failure of its own.
  if (!ending) console.error(error);
  process.exitCode = 1;
}
if (!ending) {
  ending = true;
  await closing.closeAll();
  process.disconnect();
}
