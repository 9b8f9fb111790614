import type { Attributes } from "./attributes.ts";

/** Where what an agent acts on came from, as it says: a tool's answer or a web page is `untrusted`. */
export const provenances = ["trusted", "internal", "untrusted"] as const;

/** At most how much an action will cost. */
export interface ActionCost {
  /** In major units, as decimal text, and an ISO 4217 code. */
  readonly spend?: { readonly amount: string; readonly unit: string };
  /** How many rows it will read, write or hand on. */
  readonly rows?: number;
}

/** What an agent says of an action beside its name. It is believed as far as the policy believes the agent. */
export interface ActionTraits {
  readonly cost?: ActionCost;
  readonly provenance?: (typeof provenances)[number];
  /** Of the data that it has to do with: a word that the policy knows. */
  readonly sensitivity?: string;
}

/** What policy sees of an action's traits; what was not said is missing, and not some value. */
export function attributesOfTraits({ cost, provenance, sensitivity }: ActionTraits): Attributes {
  const { spend, rows } = cost ?? {};
  return {
    ...(spend && { "action.amount": Number(spend.amount), "action.currency": spend.unit }),
    ...(rows !== undefined && { "action.rows": rows }),
    ...(provenance !== undefined && { "action.provenance": provenance }),
    ...(sensitivity !== undefined && { "action.sensitivity": sensitivity }),
  };
}

const weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;

/** What policy sees of when it is asked: the hour from 0 to 23 and the day of the week, in UTC. */
export function attributesOfMoment(nowMs: number): Attributes {
  const now = new Date(nowMs);
  return { "context.hour": now.getUTCHours(), "context.weekday": weekdays[now.getUTCDay()] ?? "" };
}
