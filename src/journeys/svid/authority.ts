import type { SpiffeId } from "@countersign/sdk/model/spiffe-id";
import { ConditionsFailed } from "../../domain/domain-error.ts";
import type { Condition } from "../../store/write.ts";

/** Who signs is read before the commit, and again after one that found it tainted. */
export interface ByAnotherDeps {
  /** Reads the keys anew: resolves when what was committed before is known here. */
  readonly reloadKeys: () => Promise<void>;
}

/** That an authority was not tainted meanwhile: such a one signs nothing more. One that another follows by now still may. */
export function mayStillSign(authority: string): Condition {
  return { on: "signing_key", id: authority, status: ["active", "retired"] };
}

/**
 * Issues, and once more where nothing but this failed: the authority was tainted between our reading it and the commit, and
 * another signs by now.
 *
 * @throws what `issue` throws
 */
export async function orByAnother<Issuance>(
  { reloadKeys }: ByAnotherDeps,
  issue: () => Promise<Issuance>,
): Promise<Issuance> {
  try {
    return await issue();
  } catch (error) {
    if (!(error instanceof ConditionsFailed && error.failed.every(({ on }) => on === "signing_key")))
      throw error;
    await reloadKeys();
    return issue();
  }
}

/**
 * What was signed is given out only where whoever verifies it finds that it is whose it was to be.
 *
 * @throws Error when it is another's; what the verification throws
 */
export async function demandVerified(
  verification: Promise<{ readonly spiffeId: SpiffeId }>,
  expected: SpiffeId,
): Promise<void> {
  const { spiffeId } = await verification;
  if (spiffeId !== expected) throw new Error("the SVID is not what was to be signed");
}
