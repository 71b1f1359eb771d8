// What is looked at and how, kept in the address, so that a copied one shows the same.

const SETTLE_MS = 200; // browsers allow an address few changes a second
const OF_ONE_CASE = ["at", "frame", "zoom", "turn"]; // where in a case one looks: another case begins anew
let state = new URLSearchParams();
let kept = false;
let waiting = 0;

/** Keep it in the page's address; `changed` is told when a reader goes back or types another. Without this, in memory alone. */
export function keepInAddress(changed) {
  kept = true;
  state = new URLSearchParams(location.hash.slice(1));
  addEventListener("hashchange", () => {
    state = new URLSearchParams(location.hash.slice(1));
    changed();
  });
}

export const get = (key) => state.get(key);
export const getAll = (key) => state.getAll(key);

/** Numbers with commas between them, as many as wanted; null where there are none. */
export function numbers(key, count) {
  const values = (state.get(key) || "").split(",").map(Number);
  return state.get(key) && values.length === count && values.every(Number.isFinite) ? values : null;
}

export const number = (key, usual) => numbers(key, 1)?.[0] ?? usual;

/** Note a value, or several; null, false, an empty text and what is `usual` anyway take no room. */
export function set(key, value, usual) {
  const values = (Array.isArray(value) ? value : [value]).filter((one) => one !== null && one !== false && one !== "" && one !== usual);
  state.delete(key);
  for (const one of values) state.append(key, one === true ? "1" : one);
  settle();
}

/** Note numbers, rounded to what can be seen. */
export const setNumbers = (key, values, digits = 1) => set(key, values && values.map((value) => String(Number(value.toFixed(digits)))).join(","));

/** Whether a layer is on: as it was switched, else as usual. */
export const isOn = (name, usual) => !state.getAll("off").includes(name) && (usual || state.getAll("on").includes(name));

export function switchTo(name, usual, on) {
  for (const key of ["on", "off"]) set(key, state.getAll(key).filter((other) => other !== name));
  if (on !== usual) set(on ? "on" : "off", [...state.getAll(on ? "on" : "off"), name]);
}

/** Go to another case; the layers stay as they are. `again` makes the way back lead to the one before. */
export function goTo(name, again) {
  if (state.get("case") !== name) for (const key of OF_ONE_CASE) state.delete(key);
  state.set("case", name);
  if (again && kept) history.pushState(null, "", `#${state}`);
  else settle();
}

export const to = (name) => `#${new URLSearchParams({ case: name })}`;

function settle() {
  if (!kept || waiting) return;
  waiting = setTimeout(() => {
    waiting = 0;
    history.replaceState(null, "", `#${state}`);
  }, SETTLE_MS);
}
