import { relative } from "node:path";
import ts from "typescript";

/**
 * Places where a promise is left to itself: a statement that neither awaits, returns, voids nor catches it, and an
 * async function handed to a caller that expects nothing back. Its rejection would end the process or be lost.
 */
export function strayPromises(program: ts.Program, files: readonly ts.SourceFile[]): string[] {
  const checker = program.getTypeChecker();
  const found: string[] = [];
  for (const file of files) if (!file.isDeclarationFile && !isGenerated(file)) visit(file, file);
  return found;

  function visit(node: ts.Node, file: ts.SourceFile): void {
    if (ts.isExpressionStatement(node) && isStray(node.expression)) {
      report(node, file, "this promise is neither awaited nor caught");
    }
    if ((ts.isCallExpression(node) || ts.isNewExpression(node)) && !isFinally(node)) {
      for (const argument of node.arguments ?? []) {
        if (isMisused(argument)) report(argument, file, "an async function is passed where nobody awaits it");
      }
    }
    ts.forEachChild(node, (child) => visit(child, file));
  }

  function report(node: ts.Node, file: ts.SourceFile, what: string): void {
    const { line } = file.getLineAndCharacterOfPosition(node.getStart(file));
    found.push(`${relative(process.cwd(), file.fileName)}:${line + 1}: ${what}`);
  }

  function isStray(expression: ts.Expression): boolean {
    if (ts.isAwaitExpression(expression) || ts.isVoidExpression(expression)) return false;
    if (ts.isBinaryExpression(expression) && isAssignment(expression.operatorToken.kind)) return false;
    return isThenable(checker.getTypeAtLocation(expression)) && !isCaught(expression);
  }

  function isMisused(argument: ts.Expression): boolean {
    const expected = checker.getContextualType(argument);
    if (!expected) return false;
    const wanted = checker.getNonNullableType(expected).getCallSignatures();
    const given = checker.getTypeAtLocation(argument).getCallSignatures();
    return (
      wanted.length > 0 &&
      wanted.every((signature) => (signature.getReturnType().flags & ts.TypeFlags.Void) !== 0) &&
      given.some((signature) => isThenable(signature.getReturnType()))
    );
  }

  function isThenable(type: ts.Type): boolean {
    const parts = type.isUnion() ? type.types : [type];
    return parts.some(
      (part) => (part.flags & ts.TypeFlags.Any) === 0 && part.getProperty("then") !== undefined,
    );
  }
}

/** Whether a chain ends in a handler for rejections. */
function isCaught(expression: ts.Expression): boolean {
  if (!ts.isCallExpression(expression) || !ts.isPropertyAccessExpression(expression.expression)) return false;
  const method = expression.expression.name.text;
  if (method === "catch") return expression.arguments.length > 0;
  if (method === "then") return expression.arguments.length > 1;
  return method === "finally" && isCaught(expression.expression.expression);
}

/** The one call whose callback is typed as giving nothing, and is awaited all the same. */
function isFinally({ expression }: ts.CallExpression | ts.NewExpression): boolean {
  return ts.isPropertyAccessExpression(expression) && expression.name.text === "finally";
}

function isAssignment(operator: ts.SyntaxKind): boolean {
  return operator >= ts.SyntaxKind.FirstAssignment && operator <= ts.SyntaxKind.LastAssignment;
}

function isGenerated(file: ts.SourceFile): boolean {
  return file.fileName.includes("/generated/");
}
