import { defineConfig } from "vitest/config";

// The page goes into the Python package, which serves it and ships it in its wheel. Its addresses are
// relative, so that any folder of any web server will do.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../python/digitvae/explorer/page",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000,
  },
  worker: { format: "es" },
  test: {
    include: ["tests/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
