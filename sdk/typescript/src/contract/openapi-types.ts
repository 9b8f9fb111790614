import type { z } from "zod";

/** A JSON Schema of the 2020-12 dialect, which is OpenAPI 3.1's own. */
export type JsonSchema = z.core.JSONSchema.BaseSchema;

/** One parameter of an operation. */
export interface OpenApiParameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly description?: string;
  readonly schema: JsonSchema;
}

/** A header of an answer. */
export interface OpenApiHeader {
  readonly description: string;
  readonly schema: JsonSchema;
}

/** What a body is, by its media type. */
export type OpenApiContent = Readonly<Record<string, { readonly schema: JsonSchema }>>;

/** One answer, or one kind of refusal. */
export interface OpenApiResponse {
  readonly description: string;
  readonly headers?: Readonly<Record<string, OpenApiHeader>>;
  readonly content?: OpenApiContent;
}

/** One operation, as OpenAPI writes it. */
export interface OpenApiOperation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters: readonly OpenApiParameter[];
  readonly requestBody?: { readonly required: true; readonly content: OpenApiContent };
  /** By status. */
  readonly responses: Readonly<Record<string, OpenApiResponse>>;
}

/** How a caller shows who it is. */
export type OpenApiSecurityScheme = OpenApiTokenScheme | OpenApiCertificateScheme;

/** By a certificate in the handshake. */
export interface OpenApiCertificateScheme {
  readonly type: "mutualTLS";
  readonly description: string;
}

/** By an access token, and how it gets that. */
export interface OpenApiTokenScheme {
  readonly type: "oauth2";
  readonly description: string;
  readonly flows: {
    readonly clientCredentials: {
      readonly tokenUrl: string;
      /** What each scope is for. */
      readonly scopes: Readonly<Record<string, string>>;
    };
  };
}

/**
 * An OpenAPI document, as far as this API needs one.
 *
 * @see OpenAPI 3.1.1
 */
export interface OpenApiDocument {
  readonly openapi: "3.1.1";
  readonly info: {
    readonly title: string;
    readonly version: string;
    readonly description: string;
    readonly license: { readonly name: string; readonly identifier: string };
  };
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string }[];
  /** Operations by path, then by method. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>;
    readonly securitySchemes: Readonly<Record<string, OpenApiSecurityScheme>>;
  };
}
