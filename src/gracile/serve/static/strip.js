// The list of cases: only the rows that are seen exist, and their thumbnails come when nothing else is waited for.
import * as address from "./address.js";
import { at } from "./api.js";
import { byId, h } from "./dom.js";

const ROW = 64; // as in page.css
const MORE = 6;
const MOST = 1000; // thumbnails that are kept
const AT_ONCE = 2; // a browser opens six connections to a server
const SHORT = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4 });
const tones = { failed: "bad", absent: "faint" };

export class Strip {
  /** `choose(row, again)` is called with the number of a row of the table. */
  constructor(table, choose) {
    Object.assign(this, { table, choose, order: [], current: -1, column: null });
    const find = (key) => table.columns.findIndex((column) => column.key === key);
    [this.name, this.status, this.flags] = ["case", "status", "flags"].map(find);
    this.list = byId("list");
    this.rows = h("ol", {});
    this.list.replaceChildren(this.rows);
    this.seen = new Map();
    this.thumbnails = new Thumbnails();
    this.list.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.list);
  }

  /** Show these rows of the table, in this order, each with its value in a column. */
  show(order, column) {
    Object.assign(this, { order, column });
    for (const row of this.seen.values()) row.remove();
    this.seen.clear();
    this.rows.style.height = `${order.length * ROW}px`;
    const all = this.table.rows.length;
    byId("count").textContent = order.length === all ? `${all} ${all === 1 ? "case" : "cases"}` : `${order.length} of ${all} cases`;
    this.draw();
  }

  /** Mark a row as the one that is looked at, and bring it into sight. */
  mark(row) {
    this.current = row;
    for (const [place, item] of this.seen) mark(item.firstChild, this.order[place] === row);
    const place = this.order.indexOf(row);
    if (place < 0) return;
    const { scrollTop, clientHeight } = this.list;
    if (place * ROW < scrollTop) this.list.scrollTop = place * ROW;
    else if ((place + 1) * ROW > scrollTop + clientHeight) this.list.scrollTop = (place + 1) * ROW - clientHeight;
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.list.scrollTop / ROW) - MORE);
    const end = Math.min(this.order.length, Math.ceil((this.list.scrollTop + this.list.clientHeight) / ROW) + MORE);
    for (const [place, item] of this.seen) {
      if (place >= first && place < end) continue;
      item.remove();
      this.seen.delete(place);
    }
    for (let place = first; place < end; place += 1) if (!this.seen.has(place)) this.insert(place);
    this.thumbnails.want([...this.seen].map(([place, item]) => [this.table.order[this.order[place]], item.querySelector(".thumb")]));
  }

  insert(place) {
    const item = this.item(place);
    const later = [...this.seen.keys()].filter((other) => other > place);
    this.rows.insertBefore(item, later.length ? this.seen.get(Math.min(...later)) : null); // so that keys go from above to below
    this.seen.set(place, item);
  }

  item(place) {
    const row = this.order[place];
    const cells = this.table.rows[row];
    const [name, status, flags] = [cells[this.name], cells[this.status], cells[this.flags].length];
    const value = this.column?.number ? cells[this.table.columns.indexOf(this.column)] : null;
    const said = [name, status, flags && `${flags} ${flags === 1 ? "flag" : "flags"}`, value !== null && `${this.column.label} ${SHORT.format(value)}`];
    const link = h("a", { href: address.to(name), title: cells[this.flags].map((flag) => this.table.flags[flag]).join("\n") || null, "aria-label": said.filter(Boolean).join(", "),
      onclick: (event) => { if (event.ctrlKey || event.metaKey || event.shiftKey) return; event.preventDefault(); this.choose(row, true); } },
    h("span", { class: `thumb ${status}` }),
    h("span", { class: "words" }, h("span", { class: "name" }, name),
      h("span", { class: "line" }, h("span", { class: `status ${tones[status] || "good"}` }, status), flags > 0 && h("span", { class: "warning" }, `⚠︎ ${flags}`),
        value !== null && h("span", { class: "value" }, SHORT.format(value)))));
    mark(link, row === this.current);
    const item = h("li", { "aria-setsize": this.order.length, "aria-posinset": place + 1 }, link);
    item.style.top = `${place * ROW}px`;
    return item;
  }
}

const mark = (link, on) => (on ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current"));

/** Small pictures, two at a time, of what is in sight now. */
class Thumbnails {
  constructor() {
    Object.assign(this, { waiting: [], loading: 0, known: new Map() });
  }

  want(places) {
    for (const [index, place] of places) if (!place.firstChild && this.known.get(index)) place.replaceChildren(this.known.get(index));
    this.waiting = places.filter(([index]) => !this.known.has(index));
    this.next();
  }

  next() {
    while (this.loading < AT_ONCE && this.waiting.length) {
      const [index, place] = this.waiting.shift();
      const image = h("img", { alt: "", draggable: "false", src: at(`/api/cases/${index}/thumbnail`) });
      place.replaceChildren(image);
      this.loading += 1;
      this.keep(index, image);
      const done = () => { this.loading -= 1; this.next(); };
      image.addEventListener("load", done);
      image.addEventListener("error", () => { image.remove(); this.keep(index, null); done(); }); // there is none
    }
  }

  keep(index, image) {
    this.known.set(index, image);
    if (this.known.size > MOST) this.known.delete(this.known.keys().next().value);
  }
}
