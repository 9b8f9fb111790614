import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["source"] },
  ssr: { resolve: { conditions: ["source", "node"] } },
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/interop/**"],
    globalSetup: ["test/global-setup.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A shared machine may starve a test of its time. Whoever fails twice fails; a retry is told beside the test's name.
    retry: process.env["CI"] ? 1 : 0,
    pool: "forks",
    maxWorkers: 2,
  },
});
