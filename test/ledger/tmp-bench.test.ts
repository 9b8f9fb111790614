import { test } from "vitest";
import { createReader } from "../../src/ledger/reader.ts";
import { openTestLedger, acmeLog } from "./ledger-fixture.ts";
import { verifyExport } from "@countersign/sdk/tlog/export";
import { exportLog } from "../../src/ledger/export.ts";
test("bench", async () => {
  const ledger = await openTestLedger();
  const n = 1_000_000;
  await ledger.db.prisma.$executeRawUnsafe("SET statement_timeout=0");
  for (let a=0;a<n;a+=50_000) await ledger.db.prisma.$executeRawUnsafe(`INSERT INTO ledger_entry SELECT 'acme', i, 'e' || i, sha256(convert_to(E'x' || i, 'UTF8')) FROM generate_series(${a}, ${a+49_999}) AS i`);
  await ledger.db.prisma.$executeRawUnsafe(`UPDATE log SET next_index=${n - 37} WHERE id='acme'`);
  let t=performance.now(); let c=process.cpuUsage();
  await ledger.publisher.publishNow(acmeLog);
  console.log("publish 1M", performance.now()-t, process.cpuUsage(c).user/1000);
  const reader = createReader({ db: ledger.db });
  const measure = async (name: string, count: number, f: (i:number)=>Promise<unknown>) => {
    let t=performance.now(); let c=process.cpuUsage();
    for (let i=0;i<count;i++) await f(i);
    const u=process.cpuUsage(c);
    console.log(name, "wall", ((performance.now()-t)/count).toFixed(3), "ms cpu", ((u.user+u.system)/1000/count).toFixed(3), "ms");
  };
  await measure("cold", 1, () => reader.inclusion(acmeLog, 5));
  await measure("random cold tiles", 300, (i) => reader.inclusion(acmeLog, (i*3331) % 999_000));
  await measure("warm", 500, (i) => reader.inclusion(acmeLog, (i%200)));
  await measure("find", 500, (i) => reader.checkpoint(acmeLog));
  t=performance.now(); let lines=0; for await (const _ of exportLog({db: ledger.db, openInput: () => null}, acmeLog)) lines++;
  console.log("export", lines, performance.now()-t);
  await ledger.close();
}, 600_000);
