/** How many places there are. */
export interface PlaceLimits {
  readonly max: number;
  /** For one user. */
  readonly perUidMax: number;
}

/** Places that users take, and give back. */
export interface Places {
  /** @returns a function that gives it back; undefined when there is none for this user */
  readonly take: (uid: number) => (() => void) | undefined;
}

/** What part of all places is kept for users who have few. */
const keptPart = 1 / 4;
/** What part of a user's places are few. */
const fewPart = 1 / 16;

/** Places of which each user gets so many, and the last ones only who has few: it takes a great many users to take all. */
export function createPlaces({ max, perUidMax }: PlaceLimits): Places {
  const perUid = new Map<number, number>();
  const few = Math.max(1, Math.floor(perUidMax * fewPart));
  let taken = 0;

  function hasRoomFor(uid: number): boolean {
    const own = perUid.get(uid) ?? 0;
    return own < perUidMax && taken < (own < few ? max : max * (1 - keptPart));
  }

  function giveBack(uid: number): void {
    taken--;
    const left = (perUid.get(uid) ?? 0) - 1;
    if (left > 0) perUid.set(uid, left);
    else perUid.delete(uid);
  }

  return {
    take(uid) {
      if (!hasRoomFor(uid)) return undefined;
      taken++;
      perUid.set(uid, (perUid.get(uid) ?? 0) + 1);
      let isTaken = true;
      return () => {
        if (isTaken) giveBack(uid);
        isTaken = false;
      };
    },
  };
}
