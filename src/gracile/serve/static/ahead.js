// Cases with their scene and the parts of it that are shown at first: fetched when they are chosen, or ahead of that.
import { at, getJson } from "./api.js";

const kinds = {
  picture: () => import("./picture.js"),
  video: () => import("./video.js"),
  volume: () => import("./volume.js"),
};
const kept = new Map();

/** What is needed to show the case at an address of the API. What keeps its parts from loading is told when it is shown. */
export function fetchCase(base, ahead = false) {
  if (!kept.has(base)) {
    const entry = { ready: false };
    entry.promise = load(base, ahead).then((made) => {
      entry.ready = true;
      return made;
    });
    entry.promise.catch(() => kept.delete(base)); // asked again when it is chosen again
    kept.set(base, entry);
  }
  return kept.get(base).promise;
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
    await fetchCase(base, true).catch(() => null);
  }
}

async function load(base, ahead) {
  const scene = await getJson(`${base}/scene${ahead ? "?ahead=true" : ""}`);
  const url = (key) => at(`${base}/files/${encodeURIComponent(key)}`);
  const kind = await kinds[scene.kind]?.();
  const made = { scene, url, kind, parts: null, error: null };
  try {
    made.parts = kind ? await kind.prepare(scene, url) : null;
  } catch (error) {
    made.error = error;
  }
  return made;
}
