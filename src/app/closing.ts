/** What was opened, to be closed in reverse order. */
export interface Closing {
  /** Remembers how to close something, and hands the thing back. */
  readonly closes: <Opened extends { close(): Promise<void> }>(opened: Opened) => Opened;
  readonly add: (close: () => Promise<void> | void) => void;
  /** Closes everything, whatever fails on the way. @throws AggregateError of what failed */
  readonly closeAll: () => Promise<void>;
}

/** Nothing opened yet. */
export function createClosing(): Closing {
  const closers: (() => Promise<void> | void)[] = [];

  async function closeAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const close of closers.splice(0).reverse()) {
      try {
        await close();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, "not everything could be closed");
  }

  return {
    closes: (opened) => {
      closers.push(() => opened.close());
      return opened;
    },
    add: (close) => closers.push(close),
    closeAll,
  };
}
