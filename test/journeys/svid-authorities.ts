import { keepAuthorities } from "../../src/journeys/keys/authorities.ts";
import { createKeys } from "../../src/journeys/keys/create.ts";
import { openKeyRing } from "../../src/keys/key-ring.ts";
import { createSignatureVerifier } from "../../src/svid/verify-signature.ts";
import { trustDomain } from "./server-process.ts";
import type { World } from "./world.ts";

const by = { kind: "system", id: "test" } as const;
const verifySignature = createSignatureVerifier();

export type SvidAuthorities = Awaited<ReturnType<typeof openSvidAuthorities>>;

/** The first authorities of a world's trust domain, and what it takes to keep them and to issue SVIDs by them. */
export async function openSvidAuthorities({ db, deps }: World) {
  const { sealer, now } = deps;
  const ring = await openKeyRing({ db, sealer, trustDomain, now, onReloadFailed: () => undefined });
  const reloading = { ...deps, reloadKeys: ring.reload };
  const keeping = { ...reloading, upstream: undefined, verifySignature };
  await createKeys(reloading, { logs: [], by });
  await keepAuthorities(keeping, by);
  const issuing = {
    ...reloading,
    x509Authority: () => ring.x509Authorities().active,
    trustBundle: ring.trustBundle,
    verifySignature,
    jwtAuthority: () => ring.jwtAuthorities().active,
  };
  return { ring, keeping, issuing, close: ring.close };
}
