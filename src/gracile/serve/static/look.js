// Shows one case: its picture, clip or volume fills the room, and a panel says what was found and measured.
import { fetchCase, isReady } from "./ahead.js";
import { at } from "./api.js";
import { byId, h, problem, size } from "./dom.js";

const tones = { failed: "bad", absent: "faint" };
let shown = null;
let latest = 0;
let address = "";

/** Show the case at an address of the API; `focus` takes the reader there. Gives whether it is the one that is shown now. */
export async function look(base, { focus = false, head = [] } = {}) {
  const turn = ++latest;
  const place = byId("look");
  address = base;
  close();
  if (!isReady(base)) place.replaceChildren(h("p", { class: "busy", role: "status" }, "Drawing…"));
  let made;
  try {
    made = await fetchCase(base);
  } catch (error) {
    if (turn === latest) place.replaceChildren(h("p", { class: "reason bad", role: "alert" }, error.message));
    return turn === latest;
  }
  if (turn !== latest) return false;
  const { scene, url, parts } = made;
  const panel = { layers: h("div", { class: "layers" }), findings: h("div", { class: "found" }) };
  const stage = h("div", { class: "scene" });
  place.replaceChildren(card(scene, base, parts && stage, panel, head));
  problem("");
  if (focus) place.focus({ preventScroll: true });
  try {
    const ready = await parts;
    if (turn !== latest) return false;
    const one = ready && (await ready.viewer.show(stage, scene, url, ready.content, panel));
    if (turn !== latest) { one?.close?.(); return false; } // another case was chosen meanwhile
    shown = one;
    place.dataset.shown = scene.name;
  } catch (failure) {
    if (turn === latest) problem(`It cannot be shown: ${failure.message}`);
  }
  return turn === latest;
}

/** Let what is shown answer a key; gives whether it did. */
export function press(key) {
  const act = shown?.keys?.[key];
  act?.();
  return Boolean(act);
}

/** Show nothing any more, if that case is shown. */
export function leave(base) {
  if (base !== address) return;
  latest += 1;
  close();
  byId("look").replaceChildren();
}

function close() {
  shown?.close?.();
  shown = null;
  delete byId("look").dataset.shown;
}

function card(scene, base, stage, panel, head) {
  const tone = tones[scene.status] || "good";
  return h("article", { class: `case${stage ? "" : " bare"}` },
    h("div", { class: "head" }, head[0], h("h2", { title: scene.name }, scene.name), h("span", { class: `status ${tone}` }, scene.status),
      scene.flags.length > 0 && h("span", { class: "warning" }, `⚠︎ ${scene.flags.length}`), head.slice(1)),
    stage,
    h("div", { class: "facts", id: "panel" },
      scene.reason && h("p", { class: `reason ${tone}` }, scene.reason),
      scene.flags.length > 0 && h("ul", { class: "flags", "aria-label": "Warnings" }, scene.flags.map((flag) => h("li", {}, flag))),
      quality(scene), panel.layers, panel.findings, gates(scene), measurements(scene), downloads(scene, base), notes(scene), seconds(scene)));
}

/** How good the answer is predicted to be, and why. */
function quality({ quality: said }) {
  if (!said) return null;
  return h("div", { class: "quality" }, h("h3", {}, "Predicted"),
    h("p", {}, [said.text, said.band].filter(Boolean).join("; "), h("small", {}, " each holds in nine cases of ten")),
    said.reasons.length > 0 && h("ul", { "aria-label": "Reasons" }, said.reasons.map((reason) => h("li", {}, reason))));
}

function gates(scene) {
  const names = Object.keys(scene.gates);
  if (!names.length) return null;
  return h("div", {}, h("h3", {}, "Gate"), h("table", { class: "measured" }, h("tbody", {}, names.map((name) =>
    h("tr", {}, h("th", { scope: "row" }, name, name in scene.decisions && h("small", {}, scene.decisions[name] ? "open" : "closed")),
      h("td", {}, scene.gates[name]?.toFixed(3) ?? "–"))))));
}

function measurements(scene) {
  if (!scene.measurements.length) return null;
  const structures = [...new Set(scene.measurements.map((m) => m.structure))].filter(Boolean);
  const rows = new Map();
  for (const m of scene.measurements) {
    const key = `${m.label}|${m.unit}`;
    if (!rows.has(key)) rows.set(key, { label: m.label, unit: m.unit, about: new Map(), cells: {} });
    const row = rows.get(key);
    row.cells[m.structure] = m.value;
    if (m.note) row.about.set(m.note, [...(row.about.get(m.note) || []), m.structure]);
  }
  const head = structures.length > 0 && h("thead", {}, h("tr", {},
    h("th", { scope: "col" }, h("span", { class: "hidden" }, "Measurement")), structures.map((name) => h("th", { scope: "col" }, name))));
  const notesOf = ({ about, cells }) => [...about].map(([note, names]) => (names.length === Object.keys(cells).length ? note : `${names.join(", ")}: ${note}`));
  const wide = Math.max(1, structures.length);
  const body = [...rows.values()].flatMap(({ label, unit, about, cells }) => [
    h("tr", {}, h("th", { scope: "row" }, label, unit && h("span", { class: "unit" }, ` ${unit}`)),
      "" in cells ? h("td", { colspan: wide }, cells[""]) : structures.map((name) => h("td", {}, cells[name] ?? ""))),
    ...notesOf({ about, cells }).map((note) => h("tr", { class: "note" }, h("td", { colspan: 1 + wide }, note))),
  ]);
  return h("div", {}, h("h3", {}, "Measured"), h("div", { class: "scroll" }, h("table", { class: "measured" }, head, h("tbody", {}, body))));
}

function downloads(scene, base) {
  if (!scene.downloads.length) return null;
  return h("div", {}, h("h3", {}, "Downloads"), h("ul", { class: "downloads" }, scene.downloads.map((file) =>
    h("li", {}, h("a", { href: at(`${base}/files/${encodeURIComponent(file.key)}?download=true`), download: "" }, file.label), h("small", {}, size(file.bytes))))));
}

/** Those of a whole run stand at the top already. */
const notes = (scene) => document.documentElement.dataset.mode === "serve" && scene.notes?.length > 0 && h("div", {}, h("h3", {}, "Notes"), h("ul", { class: "notes" }, scene.notes.map((note) => h("li", {}, note))));

const seconds = (scene) => h("p", { class: "seconds" }, Object.entries(scene.seconds).map(([step, spent]) => h("span", {}, `${step} ${spent.toFixed(2)} s`)));
