// Elements, numbers and text.

/** An element with attributes (functions are listeners, `class` a class) and children. */
function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const byId = (id) => document.getElementById(id);

const escaped = (text) =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

/** A number with three digits and a decimal prefix. */
function amount(number, unit) {
  const prefixes = ["", "k", "M", "G", "T", "P"];
  let power = 0;
  while (Math.abs(number) >= 1000 && power < prefixes.length - 1) {
    number /= 1000;
    power += 1;
  }
  const text = power || number % 1 ? Number(number.toPrecision(3)).toString() : String(number);
  return `${text} ${prefixes[power]}${unit}`;
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1e-3) return `${Number((seconds * 1e6).toPrecision(3))} µs`;
  return seconds < 1 ? `${Number((seconds * 1e3).toPrecision(3))} ms` : `${Number(seconds.toPrecision(3))} s`;
}

const count = (number, thing) => `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : "s"}`;

/** A table that the keyboard moves in: rows are buttons to what `choose(record)` selects. */
function table(head, records, cells, choose, rowClass = () => "") {
  const body = h("tbody");
  const rows = records.map((record, i) => {
    const row = h(
      "tr",
      { tabindex: i ? "-1" : "0", class: rowClass(record), click: () => choose(record, row) },
      cells(record).map((cell, k) =>
        h("td", { class: head[k].number ? "number" : null, "data-head": head[k].text || head[k] }, cell),
      ),
    );
    row.record = record;
    return row;
  });
  body.append(...rows);
  body.addEventListener("keydown", (event) => {
    const here = rows.indexOf(event.target.closest("tr"));
    const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (to !== undefined && rows[to]) {
      rows.forEach((row) => row.setAttribute("tabindex", "-1"));
      rows[to].setAttribute("tabindex", "0");
      rows[to].focus();
      event.preventDefault();
    } else if (event.key === "Enter" || event.key === " ") {
      choose(rows[here].record, rows[here]);
      event.preventDefault();
    }
  });
  const titles = head.map((one) => h("th", { scope: "col", class: one.number ? "number" : null }, one.text || one));
  return h("table", {}, h("thead", {}, h("tr", {}, titles)), body);
}

const n = (text) => ({ text, number: true });

/** A bar of `part` (0 to 1) of its width. */
const bar = (part, kind = "") =>
  h("span", { class: `bar ${kind}`, "aria-hidden": "true", style: `--part:${Math.max(0, Math.min(1, part || 0))}` });
