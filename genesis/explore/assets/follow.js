// The view that follows one thing from the source line to the op to the kernel.

/** A text of the user's program. */
class SourcePane {
  constructor() {
    this.rows = new Rows({ label: "Source", count: 0, html: () => "" });
    this.file = h("select", { "aria-label": "File", change: () => this.open(Number(this.file.value)) });
    state.page.files.forEach((file, i) => {
      if (file.lines.length) this.file.append(h("option", { value: i }, file.name));
    });
    this.hits = h("span", { class: "hits" });
    this.element = pane("Source", [this.file, this.hits], this.rows);
    const counts = new Map();
    const { program } = state;
    program.rows(0).forEach((line) => {
      const place = state.page.places[program.lines.place[line]];
      if (place) counts.set(place.file, (counts.get(place.file) || 0) + 1);
    });
    const fullest = [...counts].sort((a, b) => b[1] - a[1]).find(([file]) => state.page.files[file].lines.length);
    this.open(fullest ? fullest[0] : state.page.files.findIndex((file) => file.lines.length));
  }

  open(number) {
    if (number < 0) return;
    this.number = number;
    this.file.value = String(number);
    const { lines, name } = state.page.files[number];
    const { program, page } = state;
    const used = new Set(program.lines.place.flatMap((p) => (p >= 0 && page.places[p].file === number ? [page.places[p].line] : [])));
    this.first = used.size ? Math.min(...used) - 1 : 0;
    this.rows.show({
      label: `Source: ${name}`,
      count: lines.length,
      width: Math.max(0, ...lines.map((line) => line.length)),
      html: (i) => `<code>${coloured(lines[i], "python")}</code>`,
      classes: (i) => (state.selection?.lines.has(`${number}:${i + 1}`) ? "hit" : used.has(i + 1) ? "used" : "idle"),
      choose: (i) => selectLine(number, i + 1, this),
    });
  }

  places() {
    const found = [];
    for (const key of state.selection?.lines || []) {
      const [file, line] = key.split(":").map(Number);
      if (file === this.number) found.push(line - 1);
    }
    return found.sort((a, b) => a - b);
  }

  follow(selection, from) {
    const files = [...(selection?.lines || [])].map((key) => Number(key.split(":")[0]));
    if (from !== this && files.length && !files.includes(this.number)) {
      const readable = files.find((file) => state.page.files[file].lines.length);
      if (readable !== undefined) this.open(readable);
    }
    shownHits(this, from);
  }
}

/** A stage of the IR. */
class StagePane {
  constructor(which, title, withTools = true) {
    this.which = which; // the name in `state` of the stage's number
    this.rows = new Rows({ label: title, count: 0, html: () => "" });
    this.select = stageSelect(state[which], (number) => {
      state[which] = number;
      this.open();
      this.follow(state.selection, null);
    });
    this.hits = h("span", { class: "hits" });
    this.element = pane(title, withTools ? [this.select, this.hits] : [this.hits], this.rows);
    this.open();
  }

  open() {
    const { program } = state;
    this.number = state[this.which];
    this.select.value = String(this.number);
    this.rows.show({
      label: `Stage ${program.stages[this.number].name}`,
      ...stageText(this.number),
      classes: (i) => state.selection?.rows(this.number).get(i) || "",
      choose: (i) => selectRow(this.number, i, this),
    });
  }

  /** The first row of the first kernel run that computes it, where the stage has kernels. */
  start() {
    const { program, selection } = state;
    const places = this.places();
    if (!selection || program.stored(this.number) !== program.stored(program.last.number)) return places[0];
    const here = new Set(places);
    return selection.runs.flatMap((i) => program.bodies[i]).find((row) => here.has(row)) ?? places[0];
  }

  places() {
    const found = state.selection ? [...state.selection.rows(this.number)] : [];
    const focus = found.filter(([, kind]) => kind === "focus");
    return (focus.length ? focus : found).map(([row]) => row).sort((a, b) => a - b);
  }

  follow(selection, from) {
    shownHits(this, from);
  }
}

/** The text of a stage as options of Rows. */
function stageText(number) {
  const { program } = state;
  const lines = program.rows(number);
  const { text } = program.lines;
  return {
    count: lines.length,
    width: Math.max(...lines.map((line, row) => program.text(number, row).join("  ").length)),
    html: (i) => {
      const [words, place] = program.text(number, i);
      return `<code>${coloured(words, "ir")}</code>${place ? ` <code class="place">${escaped(place)}</code>` : ""}`;
    },
  };
}

function stageSelect(value, change) {
  const element = h("select", { "aria-label": "Stage", change: () => change(Number(element.value)) });
  state.program.stages.forEach((stage) => {
    const same = stage.same === undefined ? "" : " (same)";
    element.append(h("option", { value: stage.number }, `${String(stage.number).padStart(2, "0")} ${stage.name}${same}`));
  });
  element.value = String(value);
  return element;
}

/** The generated code. */
class CodePane {
  constructor() {
    this.rows = new Rows({ label: "Code", count: 0, html: () => "" });
    this.language = h("select", { "aria-label": "Language", change: () => this.show(Number(this.language.value)) });
    state.program.code.forEach((code, i) => this.language.append(h("option", { value: i }, `${code.file} · ${code.target}`)));
    this.hits = h("span", { class: "hits" });
    this.element = pane("Code", [this.language, this.hits], this.rows);
    this.open(Math.min(state.code, state.program.code.length - 1));
  }

  open(number) {
    state.code = number;
    this.language.value = String(number);
    this.code = state.program.code[number];
    const { text, language, why } = this.code;
    const lines = why ? why.split("\n") : text;
    this.owners = new Map();
    for (const [kernel, [first, last]] of Object.entries(this.code.kernels))
      for (let i = first; i <= last; i++) this.owners.set(i, kernel);
    const defined = definitions(text);
    this.lit = this.spans();
    this.rows.show({
      label: `Code: ${this.code.file}`,
      count: lines.length,
      width: Math.min(240, Math.max(0, ...lines.map((line) => line.length))),
      html: (i) => `<code>${coloured(lines[i], language)}</code>`,
      classes: (i) => (this.lit.some(([first, last]) => i >= first && i <= last) ? "hit" : this.owners.has(i) ? "used" : "idle"),
      choose: (i) => {
        const owner = this.owners.get(i);
        const named = (lines[i].match(/\w+/g) || []).filter((word) => word !== owner);
        const called = named.find((word) => Object.hasOwn(this.code.kernels, word));
        if (called) this.choose(called, null);
        else if (owner) this.choose(owner, this);
        const to = called ? undefined : defined.get(named.find((word) => defined.has(word)));
        if (to !== undefined && to !== i) this.reveal(to);
      },
    });
  }

  /** Select a kernel of the code. */
  choose(kernel, from) {
    if (this.code.launches) selectCodeKernel(this.code, kernel, from);
    else selectKernel(kernel, from);
  }

  reveal(i) {
    this.rows.active = i;
    this.rows.reveal(i);
  }

  /** Open a code at the selection, or at a line, with the kernel it stands in. */
  show(number, line = null) {
    this.open(number);
    if (line === null) {
      this.follow(state.selection, null);
      return;
    }
    if (this.owners.has(line)) this.choose(this.owners.get(line), this);
    this.reveal(line);
  }

  spans() {
    return state.selection ? state.selection.spans(this.code) : [];
  }

  places() {
    return this.spans().map(([first]) => first);
  }

  /** Where the first kernel that runs of it stands. */
  start() {
    const kernels = (state.selection?.runs || []).map((i) => state.program.launches[i].kernel);
    const first = this.code.launches ? undefined : kernels.find((kernel) => this.code.kernels[kernel]);
    return first ? this.code.kernels[first][0] : this.places()[0];
  }

  follow(selection, from) {
    this.lit = this.spans();
    shownHits(this, from);
  }
}

/** The lines where the functions of a code text begin. */
function definitions(text) {
  const found = new Map();
  text.forEach((line, i) => {
    const start = line.match(/^(?:def |[A-Za-z_][\w *]*\b)(\w+)\((?!.*;$)/);
    if (start) found.set(start[1], i);
  });
  return found;
}

/** Select the ops that a kernel of other code than the one that runs computes. */
function selectCodeKernel(code, kernel, from) {
  const runs = code.launches.filter((x) => x.kernel === kernel);
  const places = placesAround(runs.flatMap((x) => x.places));
  const lines = new Set([...places].map((p) => state.page.places[p].key));
  const phases = new Set(runs.map((x) => x.phase));
  select(new Selection(state.program, kernel, { kind: "place", places, lines, phases }), from);
}

/** Show in a pane how often the selection stands in it, and bring the first place into sight. */
function shownHits(pane, from) {
  const places = pane.places();
  pane.hits.textContent = state.selection ? (places.length ? `${places.length.toLocaleString("en")} here` : "not here") : "";
  const start = pane.start ? pane.start() : places[0];
  pane.at = Math.max(0, places.indexOf(start));
  if (from !== pane && places.length) pane.rows.reveal(start);
  else pane.rows.draw(true);
}

function followView() {
  const panes = [new SourcePane(), new StagePane("stage", "Stage"), new CodePane()];
  const view = h("div", { class: "panes three" }, panes.map((pane) => pane.element));
  view.panes = panes;
  view.ready = () => panes[0].rows.reveal(panes[0].first); // the first line that an op comes from
  return view;
}
