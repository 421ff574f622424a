// What is alive when: the temporaries of a step over its ops.

const ROLES = { saved: "saved for the backward pass", gradients: "gradients", temporaries: "others" };
const SHORT = { ...ROLES, saved: "saved" };
const FIXED = { parameters: "parameters", optimizer: "optimizer state", states: "other states", arguments: "arguments", results: "results" };

function memoryView() {
  const { program } = state;
  const { memory } = program;
  const steps = memory.nodes.length;
  const sums = Object.fromEntries(Object.keys(ROLES).map((role) => [role, new Array(steps + 1).fill(0)]));
  for (const one of memory.temporaries) {
    sums[one.role][one.first] += one.bytes;
    sums[one.role][one.last + 1] -= one.bytes;
  }
  for (const line of Object.values(sums)) for (let i = 1; i <= steps; i++) line[i] += line[i - 1];
  const whole = Array.from({ length: steps }, (_, i) => Object.values(sums).reduce((sum, line) => sum + line[i], 0));
  const top = Math.max(1, ...whole);
  let at = whole.indexOf(Math.max(...whole));
  const most = at;

  const [width, height, left, bottom] = [1000, 280, 74, 28];
  const x = (i) => left + ((width - left - 10) * i) / Math.max(1, steps);
  const y = (bytes) => 10 + (height - bottom - 10) * (1 - bytes / (top * 1.06));
  const base = new Array(steps).fill(0);
  const areas = Object.keys(ROLES).map((role) => {
    const low = [...base];
    for (let i = 0; i < steps; i++) base[i] += sums[role][i];
    let d = `M${x(0)} ${y(low[0] || 0)}`;
    for (let i = 0; i < steps; i++) d += `L${x(i)} ${y(base[i])}L${x(i + 1)} ${y(base[i])}`;
    for (let i = steps - 1; i >= 0; i--) d += `L${x(i + 1)} ${y(low[i])}L${x(i)} ${y(low[i])}`;
    return s("path", { class: `area ${role}`, d: `${d}Z` });
  });
  const grid = [0, 0.25, 0.5, 0.75, 1].map((part) =>
    s("g", { class: "grid" }, s("line", { x1: left, x2: width - 10, y1: y(top * part), y2: y(top * part) }), s("text", { x: left - 8, y: y(top * part) + 4 }, amount(Math.round(top * part), "B"))),
  );
  const cursor = s("line", { class: "cursor", y1: 10, y2: height - bottom });
  const chart = s(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: "chart", tabindex: "0", role: "slider", "aria-label": "Op at which memory is shown", "aria-valuemin": 0, "aria-valuemax": steps - 1 },
    grid,
    areas,
    s("line", { class: "mark", x1: x(most + 0.5), x2: x(most + 0.5), y1: 10, y2: height - bottom }),
    s("text", { class: "mark", x: Math.min(width - 160, x(most + 0.5) + 6), y: 22 }, `peak ${amount(top, "B")}`),
    s("text", { x: (left + width) / 2, y: height - 6, class: "axis" }, "kernels in the order in which they run"),
    cursor,
  );
  const alive = h("div", {});
  const title = h("h3", { role: "status" });

  const show = (i, chosen = false) => {
    at = Math.max(0, Math.min(steps - 1, i));
    cursor.setAttribute("x1", x(at + 0.5));
    cursor.setAttribute("x2", x(at + 0.5));
    const row = memory.nodes[at];
    const last = program.last.number;
    const place = program.place(last, row);
    chart.setAttribute("aria-valuenow", at);
    chart.setAttribute("aria-valuetext", `${amount(whole[at], "B")} at ${place?.text}`);
    title.replaceChildren(`${amount(whole[at], "B")} alive at kernel ${at + 1} of ${steps}`, at === most ? ", the peak: " : ": ", h("code", {}, place?.text || ""));
    const values = memory.temporaries.filter((one) => one.first <= at && at <= one.last).sort((a, b) => b.bytes - a.bytes);
    alive.replaceChildren(
      table(
        ["Value", "Type", n("Size"), "", "For", "Made by", n("Read until")],
        values.slice(0, 200),
        (one) => {
          const from = memory.nodes[one.first];
          return [
            h("code", {}, `%${program.lines.names[program.line(last, from)][one.output]}`),
            h("code", {}, one.type),
            amount(one.bytes, "B"),
            bar(one.bytes / values[0].bytes, one.role),
            SHORT[one.role],
            h("code", {}, program.place(last, from)?.text || ""),
            `kernel ${one.last + 1}`,
          ];
        },
        (one) => selectRow(last, memory.nodes[one.first], null),
      ),
    );
    if (chosen) selectRow(last, row, null);
  };
  const under = (event) => {
    const box = chart.getBoundingClientRect();
    return Math.floor((((event.clientX - box.left) / box.width) * width - left) / ((width - left - 10) / Math.max(1, steps)));
  };
  chart.addEventListener("click", (event) => show(under(event), true));
  chart.addEventListener("pointermove", (event) => {
    if (event.buttons) show(under(event));
  });
  chart.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at + 20, PageDown: at - 20, Home: 0, End: steps - 1 }[event.key];
    if (event.key === "Enter") show(at, true);
    else if (to !== undefined) show(to);
    else return;
    event.preventDefault();
  });
  const parts = [
    ...Object.entries(FIXED).map(([key, name]) => [name, memory.fixed[key], "state"]),
    ["temporaries, at their peak", memory.arena, "saved"],
    ["scratch of kernels", memory.scratch, "temporaries"],
  ];
  const all = parts.reduce((sum, [, bytes]) => sum + bytes, 0);
  const largest = Math.max(...parts.map(([, bytes]) => bytes));
  show(most);
  return h(
    "article",
    { class: "page" },
    h("h2", {}, "Memory"),
    h("p", {}, `A call takes ${amount(all, "B")}. The chart has the temporaries; click in it, or move with the arrows.`),
    h("figure", {}, chart, h("figcaption", {}, h("ul", { class: "legend" }, Object.entries(ROLES).map(([role, name]) => h("li", { class: role }, name))))),
    h("div", { class: "split" },
      h("section", {}, title, h("div", { class: "scroll" }, alive)),
      h("section", {}, h("h3", {}, "All of it"), h("table", { class: "plain" }, h("tbody", {}, parts.map(([name, bytes, kind]) => h("tr", {}, h("td", {}, name), h("td", { class: "number" }, amount(bytes, "B")), h("td", {}, bar(bytes / largest, kind))))))),
    ),
  );
}
