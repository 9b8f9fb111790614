/** How many places there are. */
export interface PlaceLimits {
  readonly max: number;
  /** For one party: a user, in one container where that is told. */
  readonly perPartyMax: number;
}

/** Places that parties take, and give back. */
export interface Places {
  /** @returns a function that gives it back; undefined when there is none for this party */
  readonly take: (party: string) => (() => void) | undefined;
}

/** What part of all places is kept for parties that have few. */
const keptPart = 1 / 4;
/** What part of a party's places are few. */
const fewPart = 1 / 16;

/** Places of which each party gets so many, and the last ones only who has few: it takes a great many to take all. */
export function createPlaces({ max, perPartyMax }: PlaceLimits): Places {
  const perParty = new Map<string, number>();
  const few = Math.max(1, Math.floor(perPartyMax * fewPart));
  let taken = 0;

  function hasRoomFor(party: string): boolean {
    const own = perParty.get(party) ?? 0;
    return own < perPartyMax && taken < (own < few ? max : max * (1 - keptPart));
  }

  function giveBack(party: string): void {
    taken--;
    const left = (perParty.get(party) ?? 0) - 1;
    if (left > 0) perParty.set(party, left);
    else perParty.delete(party);
  }

  return {
    take(party) {
      if (!hasRoomFor(party)) return undefined;
      taken++;
      perParty.set(party, (perParty.get(party) ?? 0) + 1);
      let isTaken = true;
      return () => {
        if (isTaken) giveBack(party);
        isTaken = false;
      };
    },
  };
}
