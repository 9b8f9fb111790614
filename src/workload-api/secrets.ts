import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { DomainError } from "../domain/domain-error.ts";
import type { X509Svid } from "../domain/svid-source.ts";
import { demandIdentity } from "./answer.ts";
import { idOf } from "./bundles.ts";
import type { DataSource, Node } from "./generated/envoy/core.ts";
import {
  type CertificateValidationContext,
  Secret,
  SPIFFECertValidatorConfig,
} from "./generated/envoy/tls.ts";
import type { Any } from "./generated/google/protobuf/any.ts";
import { secretTypeUrl } from "./requests.ts";

/** What a workload may be given. */
interface Given {
  readonly svids: readonly X509Svid[];
  readonly bundles: readonly TrustBundle[];
}

const validatorTypeUrl =
  "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig";

/**
 * The secrets of these names, in their order, each once: `default`, the workload's default identity, or an identity by its
 * SPIFFE ID; `ROOTCA`, our own bundle, `ALL`, every bundle, or a bundle by its trust domain's SPIFFE ID. No name: every
 * SPIFFE ID.
 *
 * @throws DomainError `not_attested` for a workload without identity, `invalid_request` for any other name
 */
export function secretsFor(given: Given, names: readonly string[], node: Node | undefined): Any[] {
  const [defaultSvid] = demandIdentity(given.svids);
  const [own] = demandIdentity(given.bundles);
  const makers = new Map<string, (name: string) => Secret>();
  const validates = (bundles: readonly TrustBundle[]) => (name: string) =>
    validationSecret(name, bundles, speaksSpiffe(node));
  for (const bundle of given.bundles) makers.set(idOf(bundle), validates([bundle]));
  for (const svid of [...given.svids].reverse())
    makers.set(svid.spiffeId, (name) => certificateSecret(name, svid));
  const wanted = new Set(names.filter((name) => name !== ""));
  if (wanted.size === 0) for (const name of [...makers.keys()].sort()) wanted.add(name);
  makers.set("default", (name) => certificateSecret(name, defaultSvid));
  makers.set("ROOTCA", validates([own]));
  makers.set("ALL", validates(given.bundles));
  return [...wanted].map((name) => {
    const make = makers.get(name);
    if (make === undefined)
      throw new DomainError("invalid_request", "resource_names has one that is not for you");
    return { typeUrl: secretTypeUrl, value: Buffer.from(Secret.encode(make(name)).finish()) };
  });
}

function certificateSecret(name: string, { certificates, privateKey }: X509Svid): Secret {
  const tlsCertificate = {
    certificateChain: certificatesIn(certificates),
    privateKey: inline(pem("PRIVATE KEY", privateKey)),
  };
  return { name, tlsCertificate, validationContext: undefined };
}

function validationSecret(name: string, bundles: readonly TrustBundle[], bySpiffe: boolean): Secret {
  const validationContext = bySpiffe ? spiffeValidation(bundles) : plainValidation(bundles);
  return { name, tlsCertificate: undefined, validationContext };
}

/** Envoy's own validator, which holds each ID against its own trust domain's authorities. */
function spiffeValidation(bundles: readonly TrustBundle[]): CertificateValidationContext {
  const trustDomains = [...bundles]
    .sort((one, other) => (one.trustDomain < other.trustDomain ? -1 : 1))
    .map(({ trustDomain, x509Authorities }) => ({
      name: trustDomain,
      trustBundle: certificatesIn(x509Authorities),
    }));
  const value = Buffer.from(SPIFFECertValidatorConfig.encode({ trustDomains }).finish());
  const typedConfig = { typeUrl: validatorTypeUrl, value };
  return {
    trustedCa: undefined,
    customValidatorConfig: { name: "envoy.tls.cert_validator.spiffe", typedConfig },
  };
}

/** For who does not know that validator. Authorities of several trust domains in one heap would speak for each other's IDs. */
function plainValidation([bundle, ...more]: readonly TrustBundle[]): CertificateValidationContext {
  if (bundle === undefined || more.length > 0)
    throw new DomainError("invalid_request", "several trust domains take Envoy from 1.18 on");
  return { trustedCa: certificatesIn(bundle.x509Authorities), customValidatorConfig: undefined };
}

/** Whether it is an Envoy that has the SPIFFE validator: 1.18 or later. */
function speaksSpiffe(node: Node | undefined): boolean {
  const { majorNumber = 0, minorNumber = 0 } = node?.userAgentBuildVersion?.version ?? {};
  return majorNumber > 1 || (majorNumber === 1 && minorNumber >= 18);
}

function certificatesIn(certificates: readonly Uint8Array[]): DataSource {
  return inline(certificates.map((der) => pem("CERTIFICATE", der)).join(""));
}

function inline(text: string): DataSource {
  return { inlineBytes: Buffer.from(text) };
}

/** @see RFC 7468, section 2 */
function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}
