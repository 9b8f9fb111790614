import { expect, it } from "vitest";
import { keepUp } from "../../../src/store/keep-up.ts";
import type { Listener } from "../../../src/store/notifications.ts";

/** Keeps up with the nodes, where each reading ends when the test says so. */
async function open() {
  const readings: PromiseWithResolvers<void>[] = [];
  const failures: unknown[] = [];
  let listener: Listener | undefined;
  const kept = await keepUp(
    {
      db: {
        listen: async (_channel, given) => {
          listener = given;
          return async () => undefined;
        },
      },
      read: () => {
        const reading = Promise.withResolvers<void>();
        readings.push(reading);
        return reading.promise;
      },
      onReloadFailed: (error) => failures.push(error),
    },
    ["node"],
  );
  const changed = (on: string) => listener?.onMessage(JSON.stringify([{ on, id: "it" }]));
  return { ...kept, readings, failures, changed, lost: () => listener?.onGap() };
}

it("reads once more for all who ask while a reading is under way, and only when that one is done", async () => {
  const { reload, readings, close } = await open();
  const first = reload();
  const later = [reload(), reload()];
  expect(readings).toHaveLength(1);
  readings[0]?.resolve();
  await first;
  await expect.poll(() => readings.length).toBe(2);
  readings[1]?.resolve();
  await Promise.all(later);
  expect(readings).toHaveLength(2);
  await close();
});

it("tells whoever asked that reading failed, and reads for who asked meanwhile", async () => {
  const { reload, readings, failures, close } = await open();
  const first = reload();
  const later = reload();
  readings[0]?.reject(new Error("no database"));
  await expect(first).rejects.toThrow("no database");
  await expect.poll(() => readings.length).toBe(2);
  readings[1]?.resolve();
  await later;
  expect(failures).toEqual([]);
  await close();
});

it("reads when one of its tables changed or news was lost, and tells that it could not", async () => {
  const { readings, failures, changed, lost, close } = await open();
  changed("agent");
  expect(readings).toHaveLength(0);
  changed("node");
  expect(readings).toHaveLength(1);
  readings[0]?.reject(new Error("no database"));
  await expect.poll(() => failures.length).toBe(1);
  lost();
  expect(readings).toHaveLength(2);
  readings[1]?.resolve();
  await close();
});

it("is closed when the readings under way are done", async () => {
  const { reload, readings, close } = await open();
  void reload();
  void reload();
  let closed = false;
  const closing = close().then(() => {
    closed = true;
  });
  readings[0]?.resolve();
  await expect.poll(() => readings.length).toBe(2);
  expect(closed).toBe(false);
  readings[1]?.resolve();
  await closing;
});
