import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

/** The files of the project, as git knows them: tracked, or new and not ignored. Paths from the root, sorted. */
export function projectFiles(): readonly string[] {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
  return listed
    .toString()
    .split("\0")
    .filter((path) => path !== "" && existsSync(path))
    .sort();
}

/** The TypeScript sources of the product itself: the server's and the SDK's, without what is generated. */
export function productSources(): readonly string[] {
  return projectFiles().filter((path) =>
    /^(?:src|sdk\/typescript\/src)\/(?!.*\/generated\/).*\.tsx?$/.test(path),
  );
}
