/** Every advisory lock that Countersign takes in its database, in one place so that no two meet by chance. */
export const advisoryLocks = {
  /** Shared, by each server for as long as it uses the embedded PostgreSQL. */
  serverAlive: 7_213_001,
  /** Exclusive, while migrations are applied. */
  migration: 7_213_002,
  /** Taken and given back by the start-up checks. */
  startupCheck: 7_213_003,
  /** Exclusive, while partitions of the ledger are made. */
  partitions: 7_213_004,
  /** Exclusive, while the first start makes what every later one finds. */
  installation: 7_213_005,
} as const;
