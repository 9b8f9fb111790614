/** What an allowance comes with: whoever lets the request pass has to see to it. */
export type Obligation =
  /** The person behind the request proves again who they are. */
  | { readonly kind: "step_up" }
  /** A member of the answer is left out. */
  | { readonly kind: "redact"; readonly field: string }
  /** It happens no oftener than this, for each subject and line. */
  | { readonly kind: "rate"; readonly times: number; readonly perSeconds: number }
  /** Somebody is told of it. */
  | { readonly kind: "notify"; readonly whom: string };

/** An obligation, and the policy line that it comes of. */
export type Obliged = Obligation & { readonly rule: string };

const member = /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/;
const timesMax = 1_000_000;
const perSecondsMax = 86_400;

/** The obligation that an effect of a policy line spells, as `redact:body` or `rate:10/60s`; undefined for none. */
export function parseObligation(text: string): Obligation | undefined {
  const [, kind = text, argument = ""] = /^([a-z_]+):(.*)$/.exec(text) ?? [];
  switch (kind) {
    case "step_up":
      return argument === "" && text === kind ? { kind } : undefined;
    case "redact":
      return member.test(argument) ? { kind, field: argument } : undefined;
    case "notify":
      return member.test(argument) ? { kind, whom: argument } : undefined;
    case "rate":
      return parseRate(argument);
    default:
      return undefined;
  }
}

function parseRate(text: string): Obligation | undefined {
  const [, times = "", seconds = ""] = /^([1-9]\d{0,6})\/([1-9]\d{0,4})s$/.exec(text) ?? [];
  const rate = { kind: "rate", times: Number(times), perSeconds: Number(seconds) } as const;
  const isLegal =
    times !== "" && seconds !== "" && rate.times <= timesMax && rate.perSeconds <= perSecondsMax;
  return isLegal ? rate : undefined;
}
