/** The places of rows by a hash of what stands in them, in three numbers a row. */
export interface Places {
  /** The hash of each row. */
  readonly hashes: Int32Array;
  /** The first row of each chain; as many chains as a power of two. */
  readonly firsts: Int32Array;
  /** The row behind each in its chain. */
  readonly nexts: Int32Array;
}

const end = -1;

/** Puts rows in chains by their hashes. */
export function indexPlaces(hashes: Int32Array): Places {
  const firsts = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(hashes.length, 1)))).fill(end);
  const nexts = new Int32Array(hashes.length);
  for (const [place, hash] of hashes.entries()) {
    const chain = hash & (firsts.length - 1);
    nexts[place] = firsts[chain] ?? end;
    firsts[chain] = place;
  }
  return { hashes, firsts, nexts };
}

/** The first place with this hash, or -1. */
export function firstPlace(places: Places, hash: number): number {
  return withHash(places, places.firsts[hash & (places.firsts.length - 1)] ?? end, hash);
}

/** The next place with the hash of this one, or -1. */
export function nextPlace(places: Places, place: number): number {
  return withHash(places, places.nexts[place] ?? end, places.hashes[place] ?? 0);
}

/** Mixes a number into a hash. A collision costs a second look, and never a decision. */
export function mix(hash: number, number: number): number {
  const mixed = Math.imul(hash ^ number, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

function withHash({ hashes, nexts }: Places, from: number, hash: number): number {
  let place = from;
  while (place !== end && hashes[place] !== hash) place = nexts[place] ?? end;
  return place;
}
