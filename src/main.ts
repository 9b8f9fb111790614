#!/usr/bin/env node
// Nothing is imported statically: on an older Node that alone may fail, and say anything but why.
const needed = "22.12";
const running = process.versions.node;

if (isOlder(running)) {
  process.exitCode = 2;
  const detail = `needs Node.js ${needed} or newer, and this is ${running}: update Node.js, or start it by npx or npm run where it is installed, which on Linux run the Node.js that came with it`;
  process.stderr.write(`countersign: ${detail}\n`);
  if (process.argv.includes("--json"))
    process.stdout.write(`${JSON.stringify({ error: { code: "usage", detail } })}\n`);
} else {
  await import("./commands/command-line.ts");
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [majorMin = 0, minorMin = 0] = needed.split(".").map(Number);
  return major < majorMin || (major === majorMin && minor < minorMin);
}
