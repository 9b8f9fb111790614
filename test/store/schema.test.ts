import { readFileSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { openTestDatabase, runSql } from "../harness.ts";

const database = await openTestDatabase();
afterAll(() => database.close());

interface Column {
  readonly type: string;
  readonly nullable: boolean;
}
type Tables = Record<string, Record<string, Column>>;

const typeNames: Record<string, string> = {
  String: "text",
  "String[]": "_text",
  Boolean: "bool",
  Int: "int4",
  "Int SmallInt": "int2",
  BigInt: "int8",
  Bytes: "bytea",
  "DateTime Timestamptz(3)": "timestamptz(3)",
};

/** The tables that schema.prisma describes. */
function tablesOfPrisma(): Tables {
  const schema = readFileSync(new URL("../../prisma/schema.prisma", import.meta.url), "utf8");
  const tables: Tables = {};
  for (const [, body = ""] of schema.matchAll(/^model \w+ \{\n([^}]*)\}/gm)) {
    const lines = body.split("\n").map((line) => line.trim());
    const table = /@@map\("(\w+)"\)/.exec(body)?.[1] ?? "a model without @@map";
    tables[table] = Object.fromEntries(lines.filter((line) => /^\w/.test(line)).map(columnOfPrisma));
  }
  return tables;
}

function columnOfPrisma(line: string): [string, Column] {
  const [field = "", type = ""] = line.split(/\s+/);
  const name = /@map\("(\w+)"\)/.exec(line)?.[1] ?? field;
  const native = /@db\.(\S+)/.exec(line)?.[1];
  const key = [type.replace("?", ""), ...(native === undefined ? [] : [native])].join(" ");
  return [name, { type: typeNames[key] ?? `no type for ${key}`, nullable: type.endsWith("?") }];
}

async function tablesOfDatabase(): Promise<Tables> {
  const { rows } = await runSql(
    database.target,
    `SELECT c.table_name, c.column_name, c.is_nullable = 'YES' AS nullable,
       c.udt_name || CASE c.udt_name WHEN 'timestamptz' THEN '(' || c.datetime_precision || ')' ELSE '' END AS type
     FROM information_schema.columns c JOIN pg_class t ON t.oid = format('%I', c.table_name)::regclass
     WHERE c.table_schema = 'public' AND NOT t.relispartition AND c.table_name <> 'migration'`,
  );
  const tables: Tables = {};
  for (const { table_name, column_name, nullable, type } of rows) {
    tables[table_name] = { ...tables[table_name], [column_name]: { type, nullable } };
  }
  return tables;
}

test("schema.prisma says the same as the migrated database", async () => {
  const tables = tablesOfPrisma();
  expect(Object.keys(tables).length).toBeGreaterThan(10);
  expect(await tablesOfDatabase()).toEqual(tables);
});
