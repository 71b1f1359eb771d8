// The cases of a results folder: a list beside the picture, keys from one to the next, an address for each.
import * as address from "./address.js";
import { fetchAhead } from "./ahead.js";
import { getJson } from "./api.js";
import { byId, h, problem } from "./dom.js";
import { listen } from "./keys.js";
import { look } from "./look.js";
import { Order } from "./order.js";
import { foldStripIfNarrow } from "./rooms.js";
import { Strip } from "./strip.js";

let table = null;
let strip = null;
let shown = [];
let current = -1;

export async function startCases() {
  table = await getJson("/api/cases");
  byId("cases").hidden = false;
  strip = new Strip(table, (row, again) => { foldStripIfNarrow(); choose(row, again); });
  address.keepInAddress(() => { order.recall(); fromAddress(); });
  const order = new Order(table, (rows, column) => {
    shown = rows;
    strip.show(rows, column);
    tellPlace();
  });
  listen({
    j: () => step(1), ArrowRight: () => step(1), k: () => step(-1), ArrowLeft: () => step(-1),
    "/": () => byId("search").focus(),
  });
  fromAddress(); // the list is there; its first picture may take a while
}

const rowOf = (name) => table.rows.findIndex((row) => row[strip.name] === name);
const baseOf = (row) => `/api/cases/${table.order[row]}`;

function fromAddress() {
  const name = address.get("case");
  const row = name === null ? shown[0] ?? 0 : rowOf(name);
  if (row >= 0 && table.rows.length) choose(row, false);
  else if (name !== null) problem(`There is no case ${name}.`);
}

const step = (by) => {
  const place = shown.indexOf(current);
  const next = shown[place < 0 ? 0 : place + by];
  if (next !== undefined) choose(next, false);
};

async function choose(row, again) {
  current = row;
  address.goTo(table.rows[row][strip.name], again);
  strip.mark(row);
  const before = h("button", { type: "button", class: "quiet plain", "aria-label": "Case before (K)", onclick: () => step(-1) }, "‹");
  const next = h("button", { type: "button", class: "quiet plain", "aria-label": "Next case (J)", onclick: () => step(1) }, "›");
  const now = await look(baseOf(row), { focus: again, head: [before, h("span", { class: "place", id: "place" }), next] });
  if (!now) return;
  tellPlace();
  const place = shown.indexOf(row);
  const near = [place + 1, place - 1, place + 2].filter((one) => one in shown).map((one) => baseOf(shown[one]));
  fetchAhead(baseOf(row), near, () => current === row);
}

function tellPlace() {
  const place = shown.indexOf(current);
  if (byId("place")) byId("place").textContent = place < 0 ? "" : `${place + 1} of ${shown.length}`;
}
