// Which cases the list shows, and in which order: by any column of the table, by words, by least and most.
import * as address from "./address.js";
import { byId, h } from "./dom.js";

const text = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const MOST_CHOICES = 12;

export class Order {
  /** `table` is what the server tells of the cases; `changed` is called when the list is another. */
  constructor(table, changed) {
    Object.assign(this, { table, changed });
    this.flags = table.columns.findIndex((column) => column.key === "flags");
    this.names = table.columns.findIndex((column) => column.key === "case");
    const groups = Map.groupBy?.(table.columns, (column) => column.group) ?? grouped(table.columns);
    this.choices = () => [...groups].map(([group, columns]) => {
      const options = columns.map((column) => h("option", { value: column.key }, column.label));
      return group ? h("optgroup", { label: group }, options) : options;
    }).flat();
    byId("sort").replaceChildren(h("option", { value: "" }, "Needs a look"), ...this.choices());
    byId("sort").addEventListener("change", () => this.note());
    byId("direction").addEventListener("click", () => {
      byId("direction").setAttribute("aria-pressed", String(!this.falling));
      this.note();
    });
    byId("search").addEventListener("input", () => this.note());
    byId("add-filter").addEventListener("click", () => this.add("status").querySelector("select").focus());
    this.recall();
  }

  get falling() {
    return byId("direction").getAttribute("aria-pressed") === "true";
  }

  /** The column that the list is ordered by; undefined where the server's order stands. */
  get column() {
    return this.table.columns.find((column) => column.key === byId("sort").value);
  }

  /** Take the order from the address. */
  recall() {
    const sort = address.get("sort") || "";
    byId("sort").value = sort.replace(/^-/, "");
    if (byId("sort").selectedIndex < 0) byId("sort").value = "";
    byId("direction").setAttribute("aria-pressed", String(sort.startsWith("-")));
    byId("search").value = address.get("find") || "";
    byId("filters").replaceChildren();
    for (const entry of address.getAll("filter")) {
      try {
        const [key, ...wanted] = JSON.parse(entry);
        if (this.table.columns.some((column) => column.key === key)) this.add(key, wanted);
      } catch { /* not ours */ }
    }
    this.apply();
  }

  /** Keep the order in the address. */
  note() {
    address.set("sort", byId("sort").value || this.falling ? `${this.falling ? "-" : ""}${byId("sort").value}` : null);
    address.set("find", byId("search").value.trim());
    address.set("filter", this.filters().map(([column, ...wanted]) => JSON.stringify([column.key, ...wanted])));
    this.apply();
  }

  apply() {
    const { rows } = this.table;
    const words = byId("search").value.trim().toLowerCase();
    const filters = this.filters().map(([column, ...wanted]) => this.test(column, wanted));
    const some = rows.map((_, i) => i).filter((i) => rows[i][this.names].toLowerCase().includes(words) && filters.every((test) => test(rows[i])));
    const at = this.table.columns.indexOf(this.column);
    if (at >= 0) some.sort((a, b) => compare(this.value(rows[a], at), this.value(rows[b], at), this.falling ? -1 : 1));
    else if (this.falling) some.reverse();
    this.changed(some, this.column);
  }

  value(row, at) {
    return at === this.flags ? row[at].length : row[at];
  }

  /** What a cell says in words. */
  words(row, at) {
    return at === this.flags ? row[at].map((flag) => this.table.flags[flag]).join("; ") : String(row[at] ?? "");
  }

  test(column, [least, most]) {
    const at = this.table.columns.indexOf(column);
    if (!column.number) return (row) => this.words(row, at).toLowerCase().includes(least.toLowerCase());
    return (row) => row[at] !== null && (least === "" || row[at] >= Number(least)) && (most === "" || row[at] <= Number(most));
  }

  /** Each filter that says something: its column, then what is wanted. */
  filters() {
    return [...byId("filters").children].map((line) => {
      const column = this.table.columns.find(({ key }) => key === line.querySelector("[data-column]").value);
      return [column, ...[...line.querySelectorAll("[data-wanted]")].map((field) => field.value.trim())];
    }).filter(([, ...wanted]) => wanted.some(Boolean));
  }

  /** Another line to filter by. */
  add(key, wanted = []) {
    const fields = h("span", { class: "wanted" });
    const choice = h("select", { "data-column": "", "aria-label": "Filter by", onchange: () => { this.fill(fields, choice.value, []); this.note(); } }, this.choices());
    const line = h("li", {}, choice, fields,
      h("button", { type: "button", class: "quiet plain", "aria-label": "Remove this filter", onclick: () => { line.remove(); byId("add-filter").focus(); this.note(); } }, "✕"));
    choice.value = key;
    this.fill(fields, key, wanted);
    byId("filters").append(line);
    return line;
  }

  fill(fields, key, [first = "", second = ""]) {
    const column = this.table.columns.find((one) => one.key === key);
    const at = this.table.columns.indexOf(column);
    const field = (label, value) => h("input", { "data-wanted": "", "aria-label": `${column.label}: ${label}`, placeholder: label, type: column.number ? "number" : "text", step: column.number ? "any" : null, value, oninput: () => this.note() });
    const known = column.number || key === "case" ? [] : [...new Set(key === "flags" ? this.table.flags : this.table.rows.map((row) => row[at]))].filter(Boolean);
    if (column.number) fields.replaceChildren(field("least", first), field("most", second));
    else if (known.length && known.length <= MOST_CHOICES) {
      const choice = h("select", { "data-wanted": "", "aria-label": `${column.label} is`, onchange: () => this.note() }, h("option", { value: "" }, "any"), known.map((one) => h("option", { value: one }, one)));
      choice.value = first;
      fields.replaceChildren(choice);
    } else fields.replaceChildren(field("contains", first));
  }
}

/** Smaller first, what is missing always last. */
function compare(a, b, sign) {
  const [none, nothing] = [a === null || a === "", b === null || b === ""];
  if (none || nothing) return none - nothing;
  return sign * (typeof a === "number" ? a - b : text.compare(a, b));
}

function grouped(columns) {
  const groups = new Map();
  for (const column of columns) groups.set(column.group, [...(groups.get(column.group) || []), column]);
  return groups;
}
