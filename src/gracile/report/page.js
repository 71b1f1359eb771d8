"use strict";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];

/* The table: sort by a heading, show every column, find a case. */
for (const table of all("[data-sortable]")) {
  const body = table.tBodies[0];
  const headings = all("thead th[aria-sort]", table);
  const first = [...body.rows];
  const value = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.value === undefined) return cell.textContent.trim();
    return cell.dataset.value === "" ? null : Number(cell.dataset.value);
  };
  const compare = (a, b) =>
    typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true, sensitivity: "base" });
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[heading.ariaSort];
      headings.forEach((other) => (other.ariaSort = "none"));
      heading.ariaSort = next;
      const rows = [...first];
      if (next !== "none") {
        const sign = next === "ascending" ? 1 : -1;
        rows.sort((a, b) => {
          const [x, y] = [value(a, column), value(b, column)];
          if (x === null || y === null) return (x === null) - (y === null);
          return sign * compare(x, y);
        });
      }
      body.append(...rows);
    });
  });
}
for (const button of all("[data-columns]")) {
  button.addEventListener("click", () => {
    const wide = button.ariaPressed !== "true";
    button.ariaPressed = String(wide);
    const table = document.querySelector(".cases");
    table.classList.toggle("wide", wide);
    all(".spans th", table).forEach((th) => (th.colSpan = Number(wide ? th.dataset.all : th.dataset.main) || 1));
  });
}
for (const field of all("[data-search]")) {
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    for (const row of all(".cases tbody tr")) {
      row.hidden = !row.dataset.case.toLowerCase().includes(wanted);
      document.getElementById(row.dataset.card).hidden = row.hidden;
    }
  });
}

/* Layers. */
const show = (look, name, shown) => {
  for (const layer of all(".layer", look)) if (layer.dataset.layer === name) layer.hidden = !shown;
};
for (const box of all("[data-switch]")) {
  const apply = () => show(box.closest(".look"), box.dataset.switch, box.checked);
  box.addEventListener("change", apply);
  apply(); // a browser keeps what was checked when a page is loaded again
}
for (const box of all("[data-switch-all]")) {
  box.addEventListener("change", () => {
    for (const other of all("[data-switch]")) {
      if (other.dataset.switch !== box.dataset.switchAll) continue;
      other.checked = box.checked;
      show(other.closest(".look"), other.dataset.switch, other.checked);
    }
  });
}
for (const look of all(".look")) {
  const viewer = look.querySelector(".viewer");
  const opacity = look.querySelector("[data-opacity]");
  const gray = look.querySelector("[data-dim]");
  const hide = look.querySelector("[data-hide]");
  if (!opacity) continue;
  const fade = () => viewer.style.setProperty("--opacity", opacity.value / 100);
  const dim = () => viewer.classList.toggle("dim", gray.checked);
  const toggle = () => {
    const bare = viewer.classList.toggle("bare");
    hide.ariaPressed = String(bare);
    hide.textContent = bare ? "Show layers" : "Hide layers";
  };
  opacity.addEventListener("input", fade);
  gray.addEventListener("change", dim);
  hide.addEventListener("click", toggle);
  viewer.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "h" && !event.ctrlKey && !event.metaKey) toggle();
  });
  fade();
  dim();
}

/* Frames of a video: a click shows one large; the chosen one has a larger picture of its own. */
for (const strip of all("[data-stills]")) {
  const large = strip.closest(".look").querySelector(".base");
  const chosen = large.src;
  const buttons = all("button", strip);
  const first = buttons.find((button) => button.ariaPressed === "true");
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const other of buttons) other.ariaPressed = String(other === button);
      large.src = button === first ? chosen : button.querySelector("img").src;
    });
  }
}

/* Zoom: buttons, keys, double click, the wheel once the picture was clicked (or with Ctrl), two fingers. */
for (const viewer of all(".viewer")) {
  const sheet = viewer.querySelector(".sheet");
  const largest = 16;
  let [x, y, scale] = [0, 0, 1];
  const place = () => {
    const { clientWidth: width, clientHeight: height } = viewer;
    x = Math.min(0, Math.max(width * (1 - scale), x));
    y = Math.min(0, Math.max(height * (1 - scale), y));
    sheet.style.transform = scale > 1 ? `translate(${x}px, ${y}px) scale(${scale})` : "";
    viewer.classList.toggle("zoomed", scale > 1);
  };
  const zoom = (factor, at) => {
    const box = viewer.getBoundingClientRect();
    const [u, v] = at ? [at.clientX - box.left, at.clientY - box.top] : [box.width / 2, box.height / 2];
    const next = Math.min(largest, Math.max(1, scale * factor));
    x = u - ((u - x) * next) / scale;
    y = v - ((v - y) * next) / scale;
    scale = next;
    place();
  };
  const move = (dx, dy) => {
    x += dx;
    y += dy;
    place();
  };
  const steps = { in: () => zoom(1.6), out: () => zoom(1 / 1.6), all: () => zoom(0) };
  for (const button of all("[data-zoom]", viewer)) button.addEventListener("click", steps[button.dataset.zoom]);
  viewer.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !viewer.contains(document.activeElement)) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), event);
  }, { passive: false });
  viewer.addEventListener("dblclick", (event) => {
    if (!event.target.closest(".zoom")) scale > 1 ? zoom(0) : zoom(3, event);
  });
  viewer.addEventListener("keydown", (event) => {
    const far = 60;
    const keys = {
      "+": steps.in, "=": steps.in, "-": steps.out, 0: steps.all,
      ArrowLeft: () => move(far, 0), ArrowRight: () => move(-far, 0),
      ArrowUp: () => move(0, far), ArrowDown: () => move(0, -far),
    };
    const arrow = event.key.startsWith("Arrow");
    if (event.ctrlKey || event.metaKey || !keys[event.key] || (arrow && scale === 1)) return;
    event.preventDefault();
    keys[event.key]();
  });
  const fingers = new Map();
  const spread = () => {
    const [a, b] = [...fingers.values()];
    const middle = { clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 };
    return [Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY), middle];
  };
  viewer.addEventListener("pointerdown", (event) => {
    if (event.target.closest(".zoom") || event.button) return;
    fingers.set(event.pointerId, event);
    viewer.setPointerCapture(event.pointerId);
    viewer.classList.add("dragged");
  });
  viewer.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const [wide, middle] = fingers.size === 2 ? spread() : [0];
    fingers.set(event.pointerId, event);
    if (fingers.size === 2) {
      const [wider, now] = spread();
      move(now.clientX - middle.clientX, now.clientY - middle.clientY);
      zoom(wider / wide, now);
    } else if (scale > 1) move(event.clientX - before.clientX, event.clientY - before.clientY);
  });
  const lift = (event) => {
    fingers.delete(event.pointerId);
    if (!fingers.size) viewer.classList.remove("dragged");
  };
  viewer.addEventListener("pointerup", lift);
  viewer.addEventListener("pointercancel", lift);
  addEventListener("resize", place);
}
