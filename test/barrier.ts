/** Holds each caller until so many have come. */
export function barrierFor(count: number): () => Promise<void> {
  let waiting = count;
  const { promise, resolve } = Promise.withResolvers<void>();
  return () => {
    waiting--;
    if (waiting === 0) resolve();
    return promise;
  };
}
