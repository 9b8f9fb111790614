/** Rows as the store keeps them; the wire shape is made of them here and nowhere else. */
interface Row {
  readonly id: string;
  readonly organizationId: string;
  readonly status: string;
  readonly createdAt: Date;
}
export interface UserRecord extends Row {
  readonly name: string;
  readonly email: string | null;
}
export interface AgentRecord extends Row {
  readonly ownerId: string;
  readonly name: string;
  readonly kind: string;
}
export interface ResourceRecord extends Row {
  readonly audience: string;
  readonly scope: readonly string[];
  readonly ownerId: string | null;
  readonly open: boolean;
}
export interface OperatorRecord extends Row {
  readonly name: string;
}
export interface DelegationRecord extends Row {
  readonly rootId: string;
  readonly parentId: string | null;
  readonly path: readonly string[];
  readonly subjectId: string;
  readonly grantorAgentId: string | null;
  readonly granteeAgentId: string;
  /** The audience of its Resource. */
  readonly audience: string;
  readonly scope: readonly string[];
  /** JSON text. */
  readonly authorizationDetails: string;
  readonly budget: string;
  readonly onward: string;
  readonly maxDepth: number;
  readonly expiresAt: Date;
  readonly assertedBy: string | null;
}
export interface SigningKeyRecord {
  readonly id: string;
  readonly purpose: string;
  readonly logId: string | null;
  readonly algorithm: string;
  readonly status: string;
  readonly publicJwk: Readonly<Record<string, string>>;
  /** Only on keys that sign a log. */
  readonly vkey?: string;
  readonly createdAt: Date;
  readonly activatedAt: Date | null;
  readonly retiredAt: Date | null;
}
