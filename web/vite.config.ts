import { createReadStream, existsSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const SHIPPED = fileURLToPath(new URL("../export/mnist/", import.meta.url));

/** `npm run dev` has the shipped bundle beside the page. */
const bundle: Plugin = {
  name: "bundle",
  configureServer({ middlewares }) {
    middlewares.use("/bundle", (request, response, next) => {
      const file = SHIPPED + basename(request.url ?? "");
      if (existsSync(file) && file !== SHIPPED) createReadStream(file).pipe(response);
      else next();
    });
  },
};

// The page goes into the Python package, which serves it and ships it in its wheel. Its addresses are
// relative, so that any folder of any web server will do.
export default defineConfig({
  base: "./",
  plugins: [bundle],
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
