// How long each kernel takes, how long it must, and what holds it back: the roofline.

const GROUPS = {
  kernel: (launch) => launch.kernel,
  run: (launch, i) => `${i + 1} ${launch.kernel}`,
  module: (launch) => state.page.places[launch.place].scope || "(outside modules)",
  line: (launch) => state.page.places[launch.place].at || "(unknown)",
};

/** The kernel runs in groups, the longest first. */
function timings(by) {
  const groups = new Map();
  state.program.launches.forEach((launch, i) => {
    const name = GROUPS[by](launch, i);
    const group = groups.get(name) || { name, runs: [], flops: 0, bytes: 0, least: 0, seconds: 0, waiting: 0, backward: 0 };
    group.runs.push(i);
    for (const key of ["flops", "bytes", "least"]) group[key] += launch[key];
    group.seconds += launch.seconds ?? launch.least;
    group.waiting += launch.waiting ?? 0;
    group.phase = launch.phase;
    group.bound = launch.bound;
    group.compute = launch.compute || group.compute;
    groups.set(name, group);
  });
  return [...groups.values()].sort((a, b) => b.seconds - a.seconds);
}

function timeView() {
  const { program } = state;
  const took = program.measured;
  const real = !took.why;
  const whole = program.launches.reduce((sum, x) => sum + (x.seconds ?? x.least), 0);
  const holder = h("div", { class: "scroll tight" });
  let by = "kernel";
  const fill = () => {
    const groups = timings(by);
    const lit = state.selection?.launches;
    holder.replaceChildren(
      table(
        [{ kernel: "Kernel", run: "Run", module: "Module", line: "Line" }[by], n("Runs"), n(real ? "Time" : "By the roofline"), "", n("Share"), ...(real ? [n("By the roofline"), n("Waiting")] : []), n("FLOP/s"), n("B/s"), "Held by", "Phase"],
        groups,
        (g) => [
          h("code", {}, g.name),
          String(g.runs.length),
          duration(g.seconds),
          bar(g.seconds / groups[0].seconds, g.phase),
          `${((100 * g.seconds) / whole).toFixed(1)} %`,
          ...(real ? [duration(g.least), g.waiting ? duration(g.waiting) : "–"] : []),
          g.flops ? amount(g.flops / g.seconds, "") : "–",
          amount(g.bytes / g.seconds, ""),
          g.bound || "",
          g.phase,
        ],
        (g) => selectLaunches(g.runs, g.name, null),
        (g) => (lit && g.runs.some((i) => lit.has(i)) ? "hit" : ""),
      ),
    );
  };
  const choice = h("select", { change: () => ((by = choice.value), fill()) }, Object.keys(GROUPS).map((name) => h("option", { value: name }, `by ${name}`)));
  const plot = h("figure", {});
  const view = h(
    "article",
    { class: "page" },
    h("h2", {}, "Time"),
    h("p", {}, real
      ? `A call takes ${duration(took.seconds)}, the mean of the faster half of ${count(took.runs, "run")} on ${count(took.threads, "thread")}. ${duration(took.outside)} of it are outside kernels. On ${program.processor.name} it is ${byRoofline(took.seconds, program.least)}.${took.seconds < program.least ? " A small step also beats peaks that were measured with data from memory: it works in the caches." : ""}`
      : `Not measured: ${took.why}. On ${program.processor.name} a call takes ${duration(program.least)} by the roofline.`),
    plot,
    h("div", { class: "tools" }, h("label", {}, "Rows ", choice)),
    holder,
  );
  const draw = () => plot.replaceChildren(...roofline(real));
  fill();
  draw();
  view.panes = [{ follow: () => { fill(); draw(); }, places: () => [] }];
  return view;
}

/** Operations a second over operations a byte, both in powers of ten, under what the processor can do. */
function roofline(real) {
  const { program } = state;
  const { processor } = program;
  const points = timings("kernel").filter((g) => g.flops && g.bytes);
  const moving = new Set(program.launches.filter((x) => !x.flops).map((x) => x.kernel)).size;
  if (!points.length) return [h("p", { class: "muted" }, "No kernel computes, so there is no roofline to draw.")];
  const roofs = Object.entries({ ...processor.products, plain: processor.plain }).filter(([name]) => name === "plain" || points.some((g) => g.compute === name));
  const levels = roofs.filter(([name, rate], i) => roofs.findIndex(([, other]) => other === rate) === i);
  const intensity = points.map((g) => g.flops / g.bytes);
  const rate = points.map((g) => g.flops / g.seconds);
  const top = Math.max(...levels.map(([, one]) => one), ...rate);
  const ridge = Math.max(...levels.map(([, one]) => one)) / processor.bandwidth;
  const [x0, x1] = [Math.floor(Math.log10(Math.min(...intensity, ridge / 10))), Math.ceil(Math.log10(Math.max(...intensity, ridge * 4)))];
  const [y0, y1] = [Math.floor(Math.log10(Math.max(Math.min(...rate), top / 1e5))), Math.ceil(Math.log10(top * 1.3))];
  const [width, height, left, bottom, right] = [1000, 360, 74, 44, 150];
  const x = (value) => left + ((width - left - right) * (Math.log10(value) - x0)) / (x1 - x0);
  const y = (value) => 12 + (height - bottom - 12) * (1 - Math.max(0, Math.log10(value) - y0) / (y1 - y0));
  const powers = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));
  const grid = [
    ...powers(x0, x1).map((v) => s("g", { class: "grid" }, s("line", { x1: x(v), x2: x(v), y1: 12, y2: height - bottom }), s("text", { class: "axis", x: x(v), y: height - bottom + 16 }, String(Number(v.toPrecision(1)))))),
    ...powers(y0, y1).map((v) => s("g", { class: "grid" }, s("line", { x1: left, x2: width - right, y1: y(v), y2: y(v) }), s("text", { x: left - 8, y: y(v) + 4 }, amount(v, "")))),
  ];
  const apart = (one) => (one < Math.max(...levels.map(([, other]) => other)) ? 7 : -5); // their labels stay apart
  const lines = levels.map(([name, one]) => {
    const start = one / processor.bandwidth;
    return s("g", { class: "roof" }, s("path", { d: `M${x(Math.max(start, 10 ** x0))} ${y(one)}H${width - right}` }), s("text", { x: width - right + 6, y: y(one) + 4 + apart(one) }, `${amount(one, "FLOP/s")} ${name === "plain" ? "" : name}`));
  });
  const slope = [Math.max(10 ** x0, (10 ** y0) / processor.bandwidth), ridge];
  lines.push(s("g", { class: "roof" }, s("path", { d: `M${x(slope[0])} ${y(slope[0] * processor.bandwidth)}L${x(ridge)} ${y(ridge * processor.bandwidth)}` }), s("text", { x: x(slope[0]) + 70, y: y(slope[0] * processor.bandwidth) + 2 }, `memory ${amount(processor.bandwidth, "B/s")}`)));
  const longest = points[0].seconds;
  const lit = state.selection?.launches;
  const dots = points.map((g) => {
    const on = lit && g.runs.some((i) => lit.has(i));
    const dot = s("circle", { class: `dot ${g.phase} ${on ? "focus" : ""}`, cx: x(g.flops / g.bytes), cy: y(g.flops / g.seconds), r: 4 + 12 * Math.sqrt(g.seconds / longest), tabindex: "-1" }, s("title", {}, `${g.name}: ${amount(g.flops / g.seconds, "FLOP/s")}, ${(g.flops / g.bytes).toPrecision(3)} FLOP/B, ${duration(g.seconds)}`));
    dot.addEventListener("click", () => selectLaunches(g.runs, g.name, null));
    return dot;
  });
  return [
    s("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": "Roofline: the table below has the same numbers" }, grid, lines, dots, s("text", { class: "axis", x: (left + width) / 2, y: height - 6 }, "floating-point operations a byte of memory")),
    h("figcaption", {}, legend(["forward", "backward", "recomputed"]), h("span", { class: "muted" }, ` A dot is a kernel, its size the time${real ? "" : " by the roofline"}. Under a slope memory holds it back, under a flat roof arithmetic.${moving ? ` ${count(moving, "kernel")} that only move data are not here.` : ""}`)),
  ];
}
