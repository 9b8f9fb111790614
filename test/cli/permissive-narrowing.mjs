// Preloaded into a server to make it careless: its narrowing lets any scope through.
import { registerHooks } from "node:module";

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith("/sdk/typescript/dist/model/narrow.js")) return loaded;
    const source = Buffer.from(loaded.source).toString("utf8");
    const careless = source.replaceAll(/scopeBeyond\([^)]*\)/g, "[]");
    if (careless === source) throw new Error("narrowing has changed: this sabotage must follow it");
    return { ...loaded, source: careless };
  },
});
