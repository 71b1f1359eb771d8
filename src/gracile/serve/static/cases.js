// The cases of a results folder: a table, the worst first, and a link from each row to its picture.
import { getJson } from "./api.js";
import { byId, h } from "./dom.js";
import { look } from "./look.js";

const tones = { failed: "bad", absent: "faint" };

export async function startCases() {
  const cases = await getJson("/api/cases");
  byId("cases").hidden = false;
  const rows = cases.map(row);
  byId("case-rows").replaceChildren(...rows);
  byId("search").hidden = cases.length <= 8;
  byId("search").addEventListener("input", () => {
    const wanted = byId("search").value.trim().toLowerCase();
    rows.forEach((tr) => (tr.hidden = !tr.dataset.name.toLowerCase().includes(wanted)));
  });
  addEventListener("hashchange", fromAddress);
  if (location.hash.startsWith("#case-")) await fromAddress();
  else if (cases.length) await choose(cases[0].index, false);
}

function row(item) {
  const measured = item.measurements.map((m) => `${[m.label, m.structure].filter(Boolean).join(" ")} ${m.value} ${m.unit}`.trim());
  return h("tr", { "data-index": item.index, "data-name": item.name },
    h("th", { scope: "row" }, h("a", { href: `#case-${item.index}` }, item.name)),
    h("td", {}, h("span", { class: `status ${tones[item.status] || "good"}` }, item.status)),
    h("td", { class: "number" }, item.flags ? h("span", { class: "warning" }, `⚠︎ ${item.flags}`) : ""),
    h("td", {}, item.reason || measured.join(", ")));
}

const fromAddress = () => {
  const index = Number(location.hash.slice("#case-".length));
  return location.hash.startsWith("#case-") && Number.isInteger(index) ? choose(index, true) : undefined;
};

async function choose(index, move) {
  for (const tr of byId("case-rows").rows) {
    if (Number(tr.dataset.index) === index) tr.setAttribute("aria-current", "true");
    else tr.removeAttribute("aria-current");
  }
  await look(`/api/cases/${index}`, move);
}
