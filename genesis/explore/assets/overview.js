// The first view: what was compiled, what it costs, what each pass did.

function overviewView() {
  const { program } = state;
  const { memory, processor } = program;
  const fixed = Object.values(memory.fixed).reduce((sum, bytes) => sum + bytes, 0);
  const kernels = new Set(program.launches.map((x) => x.kernel)).size;
  const flops = program.launches.reduce((sum, x) => sum + x.flops, 0);
  const took = program.measured;
  const facts = [
    ["Ops written", program.stages[0].ops.toLocaleString("en"), `${kernels} kernels in ${program.launches.length} runs`],
    took.why
      ? ["Time a call", duration(program.least), `at least, on ${processor.name}; not measured`]
      : ["Time a call", duration(took.seconds), `measured on ${count(took.threads, "thread")}; ${byRoofline(took.seconds, program.least)}`],
    ["Work a call", amount(flops, "FLOP"), `${amount(program.launches.reduce((sum, x) => sum + x.bytes, 0), "B")} moved`],
    ["Memory", amount(fixed + memory.arena + memory.scratch, "B"), `${amount(memory.arena, "B")} of it temporaries, at their peak`],
    ["Compiled in", duration(program.seconds), `because ${program.cause}`],
  ];
  const cards = facts.map(([name, value, note]) =>
    h("div", { class: "fact" }, h("dt", {}, name), h("dd", {}, h("strong", {}, value), h("span", {}, note))),
  );
  const longest = Math.max(...program.stages.map((stage) => stage.seconds || 0));
  const passes = table(
    ["", "Stage", n("Ops"), n("Time"), "", n("Peak of temporaries"), "Peak at"],
    program.stages,
    (stage) => [
      String(stage.number).padStart(2, "0"),
      h("span", {}, stage.name, stage.same === undefined ? "" : h("span", { class: "muted" }, " nothing changed")),
      stage.ops.toLocaleString("en"),
      stage.seconds === null ? "" : duration(stage.seconds),
      bar((stage.seconds || 0) / longest),
      amount(stage.peak, "B"),
      stage.peakPlace < 0 ? "" : h("code", {}, state.page.places[stage.peakPlace].text),
    ],
    (stage) => {
      state.stage = stage.number;
      state.left = Math.max(0, stage.number - 1);
      open("stages");
    },
  );
  const guards = h(
    "details",
    {},
    h("summary", {}, `What a call depends on: ${count(program.guards.length, "guard")}`),
    h("table", { class: "plain" }, program.guards.map(([name, value]) => h("tr", {}, h("td", {}, h("code", {}, name)), h("td", {}, h("code", {}, value))))),
  );
  return h(
    "article",
    { class: "page" },
    h("h2", {}, program.name, h("span", { class: "muted" }, ` compiled for ${program.target}`)),
    h("p", { class: "inputs" }, "Takes ", joined(program.inputs.map((x) => h("code", {}, `${x.label} ${x.type}`))), `. ${count(program.states.count, "state")} of ${amount(program.states.bytes, "B")} live from call to call; ${count(program.scalars.length, "number")} are read at every call.`),
    h("dl", { class: "facts" }, cards),
    h("h3", {}, "Passes, in order"),
    h("p", { class: "muted" }, "Choose one to see what it changed."),
    h("div", { class: "scroll" }, passes),
    guards,
  );
}

/** The least time by the roofline in words, beside the time measured. */
function byRoofline(seconds, least) {
  const text = `${duration(least)} by the roofline`;
  return seconds < least ? `${text}, whose peaks were measured on a busy machine` : text;
}

/** Elements with commas between them. */
function joined(elements) {
  return elements.length ? elements.flatMap((element, i) => (i ? [", ", element] : [element])) : ["no arguments"];
}
