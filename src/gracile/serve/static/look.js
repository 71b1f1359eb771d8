// Shows one case: its picture, clip or volume, its warnings, what was measured and what can be downloaded.
import { at, getJson } from "./api.js";
import { byId, h, problem, size } from "./dom.js";

const tones = { failed: "bad", absent: "faint" };
const viewers = {
  picture: () => import("./picture.js"),
  video: () => import("./video.js"),
  volume: () => import("./volume.js"),
};
let shown = null;
let latest = 0;
let address = "";

/** Show the case at an address of the API; `move` takes the reader there. */
export async function look(base, move) {
  const turn = ++latest;
  address = base;
  const place = byId("look");
  shown?.close?.();
  shown = null;
  delete place.dataset.shown;
  place.replaceChildren(h("p", { class: "busy", role: "status" }, "Drawing…"));
  let scene;
  try {
    scene = await getJson(`${base}/scene`);
  } catch (error) {
    if (turn === latest) place.replaceChildren(h("p", { class: "reason bad", role: "alert" }, error.message));
    return;
  }
  if (turn !== latest) return;
  const stage = h("div", { class: "look" });
  place.replaceChildren(card(scene, base, stage));
  if (move) { place.scrollIntoView({ block: "start" }); place.focus({ preventScroll: true }); }
  try {
    const { show } = viewers[scene.kind] ? await viewers[scene.kind]() : { show: () => null };
    if (turn !== latest) return;
    const made = await show(stage, scene, (key) => at(`${base}/files/${encodeURIComponent(key)}`));
    if (turn !== latest) { made?.close?.(); return; } // another case was chosen meanwhile
    shown = made;
    place.dataset.shown = scene.name;
  } catch (error) {
    if (turn === latest) problem(`It cannot be shown: ${error.message}`);
  }
}

/** Show nothing any more, if that case is shown. */
export function leave(base) {
  if (base !== address) return;
  latest += 1;
  shown?.close?.();
  shown = null;
  delete byId("look").dataset.shown;
  byId("look").replaceChildren();
}

function card(scene, base, stage) {
  const tone = tones[scene.status] || "good";
  return h("article", { class: `card${viewers[scene.kind] ? "" : " bare"}` },
    h("div", { class: "title" }, h("h2", {}, scene.name), h("span", { class: `status ${tone}` }, scene.status)),
    scene.reason && h("p", { class: `reason ${tone}` }, scene.reason),
    scene.flags.length > 0 && h("ul", { class: "flags", "aria-label": "Warnings" }, scene.flags.map((flag) => h("li", {}, flag))),
    h("div", { class: "body" }, viewers[scene.kind] && stage,
      h("div", { class: "facts" }, findings(), gates(scene), measurements(scene), downloads(scene, base), seconds(scene))));
}

const findings = () => h("div", { class: "found" });

function gates(scene) {
  const names = Object.keys(scene.gates);
  if (!names.length) return null;
  return h("div", {}, h("h4", {}, "Gate"), h("table", { class: "measured" }, h("tbody", {}, names.map((name) =>
    h("tr", {}, h("th", { scope: "row" }, name, name in scene.decisions && h("small", {}, scene.decisions[name] ? "open" : "closed")),
      h("td", {}, scene.gates[name].toFixed(3)))))));
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
  const body = [...rows.values()].map(({ label, unit, about, cells }) => h("tr", {},
    h("th", { scope: "row" }, label, unit && h("span", { class: "unit" }, ` ${unit}`), notesOf({ about, cells }).map((note) => h("small", {}, note))),
    "" in cells ? h("td", { colspan: Math.max(1, structures.length) }, cells[""]) : structures.map((name) => h("td", {}, cells[name] ?? ""))));
  return h("div", {}, h("h4", {}, "Measured"), h("div", { class: "scroll" }, h("table", { class: "measured" }, head, h("tbody", {}, body))));
}

function downloads(scene, base) {
  if (!scene.downloads.length) return null;
  return h("div", {}, h("h4", {}, "Downloads"), h("ul", { class: "downloads" }, scene.downloads.map((file) =>
    h("li", {}, h("a", { href: at(`${base}/files/${encodeURIComponent(file.key)}?download=true`), download: "" }, file.label), h("small", {}, size(file.bytes))))));
}

const seconds = (scene) => h("p", { class: "seconds" }, Object.entries(scene.seconds).map(([step, spent]) => h("span", {}, `${step} ${spent.toFixed(2)} s`)));
