/** Who waits for an answer. */
interface Waiting<Asked, Answer> {
  readonly asked: Asked;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Has what is asked for done one after the other, and what is asked for meanwhile by the same key done together next.
 *
 * @param doAll one answer for each, in order; what it throws is thrown to all of them
 */
export function gathers<Asked, Answer extends object>(
  keyOf: (asked: Asked) => string,
  doAll: (asked: readonly Asked[]) => Promise<readonly Answer[]>,
): (asked: Asked) => Promise<Answer> {
  /** There is a queue while something is under way. */
  const queues = new Map<string, Waiting<Asked, Answer>[]>();

  async function drain(key: string, queue: Waiting<Asked, Answer>[]): Promise<void> {
    while (queue.length > 0) await answer(queue.splice(0));
    queues.delete(key);
  }

  async function answer(some: readonly Waiting<Asked, Answer>[]): Promise<void> {
    try {
      const answers = await doAll(some.map(({ asked }) => asked));
      some.forEach(({ resolve, reject }, place) => {
        const own = answers[place];
        if (own === undefined) reject(new Error("there is no answer"));
        else resolve(own);
      });
    } catch (error) {
      for (const { reject } of some) reject(error);
    }
  }

  return (asked) =>
    new Promise((resolve, reject) => {
      const key = keyOf(asked);
      const queue = queues.get(key) ?? [];
      queue.push({ asked, resolve, reject });
      if (queues.has(key)) return;
      queues.set(key, queue);
      void drain(key, queue);
    });
}
