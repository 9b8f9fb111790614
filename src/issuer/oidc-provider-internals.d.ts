// What provider-seam.ts uses of oidc-provider's inside: exactly 9.13.3, whose package.json pins it.
type Middleware = import("./provider-seam.ts").Middleware;
type OidcContext = import("oidc-provider").KoaContextWithOIDC;

declare module "oidc-provider/lib/helpers/als.js" {
  const contexts: import("node:async_hooks").AsyncLocalStorage<OidcContext>;
  export default contexts;
}

declare module "oidc-provider/lib/helpers/challenge.js" {
  /** Seconds by which the `iat` of a DPoP proof may lie in the past, and in the future. */
  export const CHALLENGE_OK_WINDOW: number;
  /** Values that follow from a secret and the time, each good for about four minutes. */
  export default class ServerChallenge {
    constructor(secret: Buffer, info: string);
    nextChallenge(): string;
    checkChallenge(challenge: string): boolean;
  }
}

declare module "oidc-provider/lib/helpers/lru.js" {
  export default class LRU<Value> {
    constructor(options: { readonly maxSize: number });
    get(key: string): Value | undefined;
  }
}

declare module "oidc-provider/lib/helpers/weak_cache.js" {
  export default function internalsOf(provider: import("oidc-provider").Provider): {
    dynamicClients: import("oidc-provider/lib/helpers/lru.js").default<import("oidc-provider").Client>;
    readonly configuration: { readonly grantTypes: Set<string> };
  };
}

declare module "oidc-provider/lib/shared/assemble_params.js" {
  export default function assembleParams(
    allowed: ReadonlySet<string>,
    ctx: OidcContext,
    next: () => Promise<void>,
  ): Promise<void>;
}

declare module "oidc-provider/lib/shared/client_auth.js" {
  export function getClientAuthParams(ctx: OidcContext): ReadonlySet<string>;
  const clientAuthentication: readonly Middleware[];
  export default clientAuthentication;
}

declare module "oidc-provider/lib/shared/error_handler.js" {
  export default function errorHandler(eventName: string): Middleware;
}

declare module "oidc-provider/lib/shared/no_cache.js" {
  const noCache: Middleware;
  export default noCache;
}

declare module "oidc-provider/lib/shared/reject_dupes.js" {
  export default function rejectDuplicates(
    only: { readonly except?: ReadonlySet<string> },
    ctx: OidcContext,
    next: () => Promise<void>,
  ): Promise<void>;
}

declare module "oidc-provider/lib/shared/selective_body.js" {
  export const urlencoded: Middleware;
}
