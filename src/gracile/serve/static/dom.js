// Elements from plain data. Texts are always text: nothing that comes from a file or a server is ever parsed as HTML.

export const byId = (id) => document.getElementById(id);

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "color") element.style.setProperty("--color", `rgb(${value.join(",")})`);
    else if (["checked", "value", "disabled", "hidden", "max", "min", "step"].includes(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const swatch = (color) => h("span", { class: "swatch", color });

export function slider(text, value, change, more = {}) {
  const input = h("input", { type: "range", min: 0, max: 100, step: 1, value, ...more, oninput: () => change(Number(input.value)) });
  return h("label", { class: "slider" }, text, input);
}

export function size(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  const power = bytes ? Math.min(3, Math.floor(Math.log10(bytes) / 3)) : 0;
  return `${(bytes / 1000 ** power).toFixed(power ? 1 : 0)} ${units[power]}`;
}

export function problem(text) {
  const place = byId("problem");
  place.textContent = text;
  place.hidden = !text;
}
