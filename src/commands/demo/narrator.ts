/** One step of the story, as it happened. */
export interface Step {
  readonly title: string;
  /** The command line or HTTP call that does it. */
  readonly how: string;
  /** What came back, in words; each made of a response. */
  readonly happened: readonly string[];
}

export interface Narrator {
  readonly steps: readonly Step[];
  /** Tells a step once it has happened. */
  tell(title: string, how: string, happened: readonly string[]): void;
}

/** Keeps the steps and tells each as it comes. */
export function createNarrator(tell: (text: string) => void): Narrator {
  const steps: Step[] = [];
  return {
    steps,
    tell(title, how, happened) {
      steps.push({ title, how, happened });
      tell(
        [`${steps.length}. ${title}`, `   $ ${how}`, ...happened.map((line) => `   → ${line}`), ""].join(
          "\n",
        ),
      );
    },
  };
}

/** Something came back that the story does not expect: the demo has failed. */
export class UnexpectedOutcome extends Error {
  override readonly name = "UnexpectedOutcome";
}

/** Goes on only when what must hold does. @throws UnexpectedOutcome */
export function expectThat(holds: boolean, what: string): asserts holds {
  if (!holds) throw new UnexpectedOutcome(`unexpected outcome: ${what}`);
}
