import { expect, test } from "vitest";
import { gathers } from "../../../src/domain/gather.ts";

/** What is done, and when each is done with, is the test's to say. */
function held() {
  const done: { readonly asked: readonly string[]; readonly end: (error?: Error) => void }[] = [];
  const ask = gathers<string, { readonly of: string }>(
    (asked) => asked.charAt(0),
    (asked) =>
      new Promise((resolve, reject) => {
        const end = (error?: Error) => (error ? reject(error) : resolve(asked.map((of) => ({ of }))));
        done.push({ asked, end });
      }),
  );
  const end = (place: number, error?: Error) => done[place]?.end(error);
  return { ask, end, asked: () => done.map(({ asked }) => asked) };
}

test("[SVI-036] what is asked for while its like is under way is done together next, and what is not its like at once", async () => {
  const { ask, end, asked } = held();
  const answers = ["a1", "a2", "a3", "b1"].map(ask);
  expect(asked()).toEqual([["a1"], ["b1"]]);
  end(0);
  await answers[0];
  await expect.poll(asked).toEqual([["a1"], ["b1"], ["a2", "a3"]]);
  end(1);
  end(2);
  expect(await Promise.all(answers)).toEqual(["a1", "a2", "a3", "b1"].map((of) => ({ of })));
});

test("[SVI-036] what fails fails for those who were waiting for it, and for nobody after them", async () => {
  const { ask, end, asked } = held();
  const [first, second] = [ask("a1"), ask("a2")];
  end(0, new Error("down"));
  await expect(first).rejects.toThrow("down");
  await expect.poll(asked).toEqual([["a1"], ["a2"]]);
  end(1);
  expect(await second).toEqual({ of: "a2" });
  const third = ask("a3");
  await expect.poll(asked).toEqual([["a1"], ["a2"], ["a3"]]);
  end(2);
  expect(await third).toEqual({ of: "a3" });
});
