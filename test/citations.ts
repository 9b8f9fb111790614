import ts from "typescript";

/** What says that a test runs on some machines only, above the test and with the reason. */
const reasoned = /\/\/ Skipped elsewhere: \S/;
const tests = ["test", "it"];
const dropping = ["skip", "todo", "only", "fails"];
const conditional = ["skipIf", "runIf"];

/**
 * The ids of requirements, `[DEL-001]`, in the titles of a file's tests, and of what describes one that counts. A test
 * counts if it is run and has to pass: not with `skip`, `todo`, `only` or `fails`, in its call, its options or around it;
 * under a condition (`skipIf`, `runIf`, `if`, or a skip from within) only where `// Skipped elsewhere: …` says why.
 * A file that runs some of its tests `only` has none that count.
 */
export function citationsIn(text: string): readonly string[] {
  const file = ts.createSourceFile("cited.test.ts", text, ts.ScriptTarget.Latest, true);
  const cited: string[] = [];
  let hasOnly = false;
  const visit = (node: ts.Node, around: readonly string[]): void => {
    const call = ts.isCallExpression(node) ? testCallOf(node) : undefined;
    if (call?.modifiers.includes("only")) hasOnly = true;
    const ids =
      call === undefined ? around : counts(call, file) ? [...around, ...idsIn(call.title)] : undefined;
    if (ids === undefined) return;
    // Those of a description are cited by each test in it, and by none where there is no test.
    if (call !== undefined && tests.includes(call.name)) cited.push(...ids);
    else ts.forEachChild(node, (child) => visit(child, ids));
  };
  visit(file, []);
  return hasOnly ? [] : [...new Set(cited)];
}

interface TestCall {
  readonly node: ts.CallExpression;
  readonly name: string;
  /** `skip`, `each`, …: what stands between the name and the title, or in the options. */
  readonly modifiers: readonly string[];
  readonly title: ts.Expression;
}

/** `test("…", …)`, `describe.each(…)("…", …)`, `it.skip("…", …)`; undefined for any other call. */
function testCallOf(node: ts.CallExpression): TestCall | undefined {
  const [title, ...rest] = node.arguments;
  const modifiers: string[] = [];
  let callee: ts.Expression = node.expression;
  for (;;) {
    if (ts.isPropertyAccessExpression(callee)) {
      modifiers.push(callee.name.text);
      callee = callee.expression;
    } else if (ts.isCallExpression(callee)) callee = callee.expression;
    else if (ts.isTaggedTemplateExpression(callee)) callee = callee.tag;
    else break;
  }
  if (!ts.isIdentifier(callee) || ![...tests, "describe"].includes(callee.text) || title === undefined)
    return;
  // `test.each([…])` alone: the outer call has the title.
  const isHalf = ts.isCallExpression(node.parent) && node.parent.expression === node;
  if (isHalf) return;
  const options = rest.filter(ts.isObjectLiteralExpression).flatMap(({ properties }) => properties);
  const optional = options.flatMap(({ name }) => (name && ts.isIdentifier(name) ? [name.text] : []));
  // Without a function it is a todo.
  const runs = rest.some((argument) => ts.isFunctionLike(argument) || ts.isIdentifier(argument));
  return {
    node,
    name: callee.text,
    modifiers: [...modifiers, ...optional, ...(runs ? [] : ["todo"])],
    title,
  };
}

function counts({ node, name, modifiers }: TestCall, file: ts.SourceFile): boolean {
  if (modifiers.some((modifier) => dropping.includes(modifier))) return false;
  const isConditional =
    modifiers.some((modifier) => conditional.includes(modifier)) ||
    isBelowCondition(node) ||
    (tests.includes(name) && skipsWithin(node));
  return !isConditional || reasoned.test(file.text.slice(node.getFullStart(), node.getStart(file)));
}

/** Whether it is declared only if something is so. */
function isBelowCondition(node: ts.Node): boolean {
  const { parent } = node;
  if (ts.isIfStatement(parent) || ts.isConditionalExpression(parent)) return true;
  if (ts.isBinaryExpression(parent)) return true;
  return (ts.isBlock(parent) || ts.isExpressionStatement(parent)) && isBelowCondition(parent);
}

/** Whether it may end itself by the `skip` of its context. */
function skipsWithin(node: ts.Node): boolean {
  const callee = ts.isCallExpression(node) ? node.expression : undefined;
  if (callee !== undefined && /^(?:\w+\.)?skip$/.test(callee.getText())) return true;
  return ts.forEachChild(node, skipsWithin) ?? false;
}

function idsIn(title: ts.Expression): readonly string[] {
  return [...title.getText().matchAll(/\[([A-Z]{3}-\d{3})\]/g)].flatMap(([, id]) => (id ? [id] : []));
}
