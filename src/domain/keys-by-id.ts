/** By the id of a thing, the keys of what rests on it. */
export interface KeysById {
  readonly add: (key: string, restsOn: readonly string[]) => void;
  /** @param restsOn the ids that it was added by */
  readonly remove: (key: string, restsOn: readonly string[]) => void;
  /** As they are now: they may be removed by who goes through them. */
  readonly keysOf: (id: string) => Iterable<string>;
  readonly clear: () => void;
}

/** Nothing rests on anything yet. */
export function createKeysById(): KeysById {
  const keysById = new Map<string, Set<string>>();
  return {
    add(key, restsOn) {
      for (const id of restsOn) {
        const keys = keysById.get(id);
        if (keys === undefined) keysById.set(id, new Set([key]));
        else keys.add(key);
      }
    },
    remove(key, restsOn) {
      for (const id of restsOn) {
        const keys = keysById.get(id);
        keys?.delete(key);
        if (keys?.size === 0) keysById.delete(id);
      }
    },
    keysOf: (id) => keysById.get(id) ?? [],
    clear: () => keysById.clear(),
  };
}
