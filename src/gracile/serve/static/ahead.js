// Cases with their scene and the parts of it that are shown at first: fetched when they are chosen, or ahead of that.
import { at, getJson } from "./api.js";

const kinds = {
  picture: () => import("./picture.js"),
  video: () => import("./video.js"),
  volume: () => import("./volume.js"),
};
const kept = new Map();

/** The scene of the case at an address of the API, and a promise of its parts, which come later. */
export function fetchCase(base, ahead = false) {
  if (!kept.has(base)) {
    const entry = { ready: false, made: load(base, ahead) };
    entry.made.then(({ parts }) => parts).then(() => (entry.ready = true), () => kept.get(base) === entry && kept.delete(base)); // else asked again when it is chosen again
    kept.set(base, entry);
  }
  return kept.get(base).made;
}

export const isReady = (base) => Boolean(kept.get(base)?.ready);

/** Forget all but these. */
export function keepOnly(...bases) {
  for (const base of kept.keys()) if (!bases.includes(base)) kept.delete(base);
}

/** Keep what is looked at and these others; fetch those that are missing, one after another while they are still wanted. */
export async function fetchAhead(current, others, wanted) {
  keepOnly(current, ...others);
  for (const base of others) {
    if (!wanted()) return;
    await fetchCase(base, true).then(({ parts }) => parts).catch(() => null);
  }
}

async function load(base, ahead) {
  const scene = await getJson(`${base}/scene${ahead ? "?ahead=true" : ""}`);
  const url = (key) => at(`${base}/files/${encodeURIComponent(key)}`);
  const kind = kinds[scene.kind];
  const parts = kind && kind().then(async (viewer) => ({ viewer, content: await viewer.prepare(scene, url) }));
  return { scene, url, parts };
}
