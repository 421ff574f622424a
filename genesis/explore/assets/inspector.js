// All that is known of the selection, beside every view.

function startInspector() {
  listeners.push(showSelected, showInspector);
}

function showSelected(selection) {
  const line = byId("selected");
  if (!selection) {
    line.replaceChildren();
    return;
  }
  const clear = h("button", { type: "button", click: () => select(null), "aria-keyshortcuts": "Escape" }, "Clear");
  line.replaceChildren("Selected ", h("code", {}, selection.title.length > 110 ? `${selection.title.slice(0, 110)}…` : selection.title), clear);
}

function showInspector(selection) {
  const side = byId("inspector");
  side.classList.toggle("some", Boolean(selection));
  if (!selection) {
    side.replaceChildren(
      h("h2", {}, "Nothing selected"),
      h("p", { class: "muted" }, "Choose a line, an op, a kernel, a point. The same thing lights up in every view; here stands what is known of it."),
    );
    return;
  }
  side.replaceChildren(
    h("h2", {}, { line: "Line", row: "Op", value: "Value", kernel: "Kernel", module: "Module", place: "Kernel" }[selection.kind]),
    h("p", { class: "title" }, h("code", {}, selection.title)),
    ...[rowPart, placePart, stagePart, kernelPart, amountPart, precisionPart].map((part) => part(selection)).filter(Boolean),
  );
}

const section = (title, ...content) => h("section", {}, h("h3", {}, title), ...content);
const link = (text, act, note = "") => h("li", {}, h("button", { type: "button", class: "link", click: act }, h("code", {}, text)), note ? h("span", { class: "muted" }, ` ${note}`) : "");

/** Operands and readers of an op. */
function rowPart({ row }) {
  if (!row) return null;
  const { program } = state;
  const label = (i) => program.lines.text[program.line(row.stage, i)].trim().replace(/ \{$/, "");
  const entry = (i) => link(short(label(i)), () => selectRow(row.stage, i, null));
  const reads = program.reads(row.stage)[row.row].map((back) => row.row - back);
  const users = program.users(row.stage, row.row);
  const list = (title, rows) => rows.length && section(title, h("ul", {}, rows.slice(0, 8).map(entry)), rows.length > 8 ? h("p", { class: "muted" }, `and ${rows.length - 8} more`) : "");
  return h("div", {}, ...[list("Reads", reads), list("Read by", users)].filter(Boolean));
}

const short = (text) => (text.length > 64 ? `${text.slice(0, 62)}…` : text);

/** The user's lines and modules. */
function placePart(selection) {
  const { page } = state;
  const lines = new Map();
  for (const number of selection.places) {
    const place = page.places[number];
    if (place.known) lines.set(place.key, place);
  }
  if (!lines.size) return null;
  const items = [...lines.values()].slice(0, 6).map((place) => link(place.at, () => (selectLine(place.file, place.line, null), open("follow")), (page.files[place.file].lines[place.line - 1] || "").trim()));
  const scopes = [...new Set([...selection.places].map((p) => page.places[p].scope).filter(Boolean))];
  return h("div", {},
    section("From", h("ul", {}, items), lines.size > 6 ? h("p", { class: "muted" }, `and ${count(lines.size - 6, "line")} more`) : ""),
    scopes.length ? section("Modules", h("ul", {}, scopes.slice(0, 6).map((scope) => link(scope, () => selectScope(scope, null)))), scopes.length > 6 ? h("p", { class: "muted" }, `and ${scopes.length - 6} more`) : "") : "",
  );
}

/** How many rows of each stage it is. */
function stagePart(selection) {
  const { program } = state;
  const most = Math.max(...program.stages.map((stage) => selection.rows(stage.number).size));
  if (!most) return h("p", { class: "muted" }, selection.kind === "line" ? "No op comes from this line." : "No op comes from it.");
  const items = program.stages.flatMap((stage) => {
    if (stage.same !== undefined) return [];
    const rows = selection.rows(stage.number);
    const go = () => {
      state.stage = stage.number;
      state.left = Math.max(0, stage.number - 1);
      open(state.view === "stages" || state.view === "graph" ? state.view : "follow");
    };
    return [h("tr", {}, h("td", {}, h("button", { type: "button", class: "link", click: go }, stage.name)), h("td", { class: "number" }, rows.size.toLocaleString("en")), h("td", {}, bar(rows.size / most)))];
  });
  return section("Rows in each stage", h("table", { class: "plain" }, h("tbody", {}, items)));
}

/** The kernels that compute it. */
function kernelPart(selection) {
  const { program } = state;
  const kernels = new Map();
  for (const i of selection.launches) {
    const launch = program.launches[i];
    kernels.set(launch.kernel, [...(kernels.get(launch.kernel) || []), launch]);
  }
  if (!kernels.size) return null;
  const rows = [...kernels].map(([kernel, runs]) => {
    const seconds = runs.reduce((sum, x) => sum + (x.seconds ?? x.least), 0);
    return link(kernel, () => (selectKernel(kernel, null), open("follow")), `${runs.length > 1 ? `${runs.length} runs, ` : ""}${duration(seconds)}`);
  });
  return section("Kernels", h("ul", {}, rows.slice(0, 10)), rows.length > 10 ? h("p", { class: "muted" }, `and ${rows.length - 10} more`) : "");
}

/** The work of its kernels. */
function amountPart(selection) {
  const runs = [...selection.launches].map((i) => state.program.launches[i]);
  if (!runs.length) return null;
  const sum = (key) => runs.reduce((total, x) => total + (x[key] ?? 0), 0);
  const facts = [
    ["operations", amount(sum("flops"), "FLOP")],
    ["memory moved", amount(sum("bytes"), "B")],
    ["by the roofline", duration(sum("least"))],
    ...(state.program.measured.why ? [] : [["measured", duration(sum("seconds"))]]),
    ["held by", [...new Set(runs.map((x) => x.bound))].filter(Boolean).join(", ")],
  ];
  return section("All kernels together", h("table", { class: "plain" }, h("tbody", {}, facts.map(([name, value]) => h("tr", {}, h("td", {}, name), h("td", { class: "number" }, value))))));
}

/** What autocast decided for its ops. */
function precisionPart({ places }) {
  const found = state.program.amp.filter((d) => d.rule && places.has(d.place));
  if (!found.length) return null;
  const items = found.slice(0, 6).map((d) => link(d.op, () => open("precision"), `${RULES[d.rule]}: ${d.inputs.join(" ")} → ${d.compute} → ${d.outputs.join(" ")}`));
  return section("Precision", h("ul", {}, items), found.length > 6 ? h("p", { class: "muted" }, `and ${found.length - 6} more`) : "");
}
