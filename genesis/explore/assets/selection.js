// What is selected: one thing, found again in every text.

/**
 * A selection in a program.
 * Rows that are the thing itself are its focus; those of its place and phase are hits, and of an argument or a state
 * those that read it.
 */
class Selection {
  constructor(program, title, parts) {
    const { lines = new Set(), places = new Set(), phases = null, along = new Set(), names = [], row = null, launches = null } = parts;
    Object.assign(this, { program, title, lines, places, phases, along, names, row, kind: parts.kind });
    this.cache = new Map();
    this.launches = launches || this.foundLaunches();
    this.kernels = new Set([...this.launches].map((i) => program.launches[i].kernel));
  }

  /** Rows of a stage: Map of row -> "focus" or "hit". */
  rows(stage) {
    const at = this.program.stored(stage).number;
    if (!this.cache.has(at)) this.cache.set(at, this.found(at));
    return this.cache.get(at);
  }

  found(stage) {
    const { program } = this;
    const found = new Map();
    const { place, phase, names, kind } = program.lines;
    const known = new Set(program.rows(stage).map((line) => phase[line]));
    // Before a pass writes out its phase, an op is where the ops that it comes from are.
    const phases = this.phases && new Set([...this.phases].map((one) => (known.has(one) ? one : "forward")));
    program.rows(stage).forEach((line, row) => {
      const shared = kind[line] === "constant" && stage > 0; // passes share constants between ops of several places
      const fits = !shared && this.fits([place[line]], phase[line], phases);
      if (this.kind !== "kernel" || stage !== program.stored(program.last.number).number) {
        if (fits) found.set(row, "hit");
      }
      if (names[line].length && this.names.some((name) => names[line].includes(name))) found.set(row, "focus");
    });
    if (this.kind === "kernel" && stage === program.stored(program.last.number).number) {
      for (const i of this.launches) for (const row of program.launches[i].rows) found.set(row, "focus");
      for (const i of this.launches)
        for (const row of program.bodies[i]) if (!found.has(row)) found.set(row, "hit");
    }
    if (this.row && program.stored(this.row.stage).number === stage) found.set(this.row.row, "focus");
    if (this.kind === "value")
      program.reads(stage).forEach((back, row) => {
        if (back.some((d) => found.get(row - d) === "focus") && !found.has(row)) found.set(row, "hit");
      });
    return found;
  }

  /** The kernel runs that compute something of it. */
  foundLaunches() {
    const { program } = this;
    const last = program.last.number;
    const rows = this.rows(last);
    const focus = new Set([...rows].filter(([, kind]) => kind === "focus").map(([row]) => row));
    const exact = new Set();
    const near = new Set();
    program.launches.forEach((launch, i) => {
      if (program.bodies[i].some((row) => focus.has(row))) exact.add(i);
      const around = launch.rows.length ? program.bodies[i].some((row) => rows.has(row)) : this.fits([launch.place], launch.phase);
      if (around) near.add(i);
    });
    return exact.size ? exact : near;
  }

  /** The numbers of its kernel runs but for those that join what threads found. */
  get runs() {
    return [...this.launches].filter((i) => this.program.launches[i].kind !== "combine");
  }

  /** Lines of a code text that belong to it: the spans of its kernels. */
  spans(code) {
    const found = code.launches
      ? new Set(code.launches.filter((x) => this.fits(x.places, x.phase)).map((x) => x.kernel))
      : this.kernels;
    return [...found].map((kernel) => code.kernels[kernel]).filter(Boolean).sort((a, b) => a[0] - b[0]);
  }

  /** Whether what comes from `places` and is of `phase` belongs to it. */
  fits(places, phase, phases = this.phases) {
    if (this.along.has(phase)) return true;
    return places.some((p) => this.places.has(p)) && (!phases || phases.has(phase));
  }
}

const state = { page: null, program: null, selection: null, view: "overview", stage: 0, left: 0, code: 0 };
const listeners = [];

/** Tell everything that shows something of the selection. */
function select(selection, from = null) {
  state.selection = selection;
  listeners.forEach((tell) => tell(selection, from));
}

function placesWhere(test) {
  return new Set(state.page.places.filter(test).map((p) => p.number));
}

/** All places of the lines and modules of some. */
function placesAround(numbers) {
  const modules = new Set(numbers.map((p) => state.page.places[p].module));
  return placesWhere((p) => modules.has(p.module));
}

/** The phases that belong to a recorded op wherever their ops come from: those of the gradients to `grad`. */
const phasesOf = (op) => new Set(op === "grad" ? ["backward", "recomputed"] : []);

function selectLine(file, line, from) {
  const places = placesWhere((p) => p.file === file && p.line === line);
  const title = `${state.page.files[file].name}:${line}`;
  const { program } = state;
  const ops = program.rows(0).flatMap((i) => (places.has(program.lines.place[i]) ? [program.lines.op[i]] : []));
  const along = phasesOf(ops.find((op) => op === "grad"));
  select(new Selection(program, title, { kind: "line", places, along, lines: new Set([`${file}:${line}`]) }), from);
}

function selectRow(stage, row, from) {
  const { program } = state;
  const line = program.line(stage, row);
  const kind = program.lines.kind[line];
  const place = program.place(stage, row);
  const names = program.lines.names[line];
  if (kind === "end" || kind === "graph") return;
  const places = place ? placesAround([place.number]) : new Set();
  const title = program.lines.text[line].trim().replace(/ \{$/, "");
  const launches = launchesOf(stage, row);
  const value = kind === "input" && !program.lines.inside[line];
  const read = value ? program.users(stage, row).map((user) => program.place(stage, user)?.key) : [];
  select(
    new Selection(program, title, {
      kind: value ? "value" : "row",
      places,
      phases: place ? new Set([program.lines.phase[line]]) : null,
      along: phasesOf(program.lines.op[line]),
      lines: new Set(place ? [place.key] : read.filter(Boolean)),
      names,
      row: { stage, row },
      launches,
    }),
    from,
  );
}

/** The kernel runs of a row of the last stage; null elsewhere. */
function launchesOf(stage, row) {
  const { program } = state;
  if (program.stored(stage) !== program.stored(program.last.number)) return null;
  const found = new Set();
  program.bodies.forEach((body, i) => {
    if (body.includes(row)) found.add(i);
  });
  return found.size ? found : null;
}

/** Select kernel runs, by their numbers. */
function selectLaunches(numbers, title, from) {
  const { program, page } = state;
  const places = placesAround(numbers.flatMap((i) => program.launches[i].places));
  const rows = numbers.flatMap((i) => program.launches[i].rows);
  const names = rows.flatMap((row) => program.lines.names[program.line(program.last.number, row)]);
  const lines = new Set([...places].map((p) => page.places[p].key));
  const phases = new Set(numbers.map((i) => program.launches[i].phase));
  select(new Selection(program, title, { kind: "kernel", places, lines, phases, names, launches: new Set(numbers) }), from);
}

function selectKernel(kernel, from) {
  const numbers = state.program.launches.flatMap((launch, i) => (launch.kernel === kernel ? [i] : []));
  selectLaunches(numbers, kernel, from);
}

/** Select a module with all that is in it. */
function selectScope(scope, from) {
  const places = placesWhere((p) => p.scope === scope || p.scope.startsWith(`${scope}.`));
  const lines = new Set([...places].map((p) => state.page.places[p].key));
  select(new Selection(state.program, scope, { kind: "module", places, lines }), from);
}
