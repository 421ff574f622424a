// What is selected: one thing, found again in every text.

/**
 * A selection in a program.
 * Rows that are the thing itself are its focus; those of its place and phase are hits, and of an argument or a state
 * those that read it.
 */
class Selection {
  constructor(program, title, parts) {
    const { lines = new Set(), places = new Set(), phases = null, names = [], row = null, launches = null } = parts;
    Object.assign(this, { program, title, lines, places, phases, names, row, kind: parts.kind });
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
    const { place, phase, names } = program.lines;
    program.rows(stage).forEach((line, row) => {
      const fits = this.places.has(place[line]) && (!this.phases || this.phases.has(phase[line]));
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
    const constant = (row) => program.lines.kind[program.line(last, row)] === "constant"; // ops of several places share it
    const focus = new Set([...rows].filter(([, kind]) => kind === "focus").map(([row]) => row));
    const exact = new Set();
    const near = new Set();
    program.launches.forEach((launch, i) => {
      if (program.bodies[i].some((row) => focus.has(row))) exact.add(i);
      const around = launch.rows.length ? program.bodies[i].some((row) => rows.has(row) && !constant(row)) : this.places.has(launch.place);
      if (around) near.add(i);
    });
    return exact.size ? exact : near;
  }

  /** Lines of a code text that belong to it: the spans of its kernels. */
  spans(code) {
    const found = code.launches
      ? new Set(code.launches.filter((x) => this.fits(x)).map((x) => x.kernel))
      : this.kernels;
    return [...found].map((kernel) => code.kernels[kernel]).filter(Boolean).sort((a, b) => a[0] - b[0]);
  }

  fits(launch) {
    return launch.places.some((p) => this.places.has(p)) && (!this.phases || this.phases.has(launch.phase));
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

function selectLine(file, line, from) {
  const places = placesWhere((p) => p.file === file && p.line === line);
  const title = `${state.page.files[file].name}:${line}`;
  select(new Selection(state.program, title, { kind: "line", places, lines: new Set([`${file}:${line}`]) }), from);
}

function selectRow(stage, row, from) {
  const { program, page } = state;
  const line = program.line(stage, row);
  const kind = program.lines.kind[line];
  const place = program.place(stage, row);
  const names = program.lines.names[line];
  if (kind === "end" || kind === "graph") return;
  const places = place ? placesWhere((p) => p.module === place.module) : new Set();
  const title = program.lines.text[line].trim().replace(/ \{$/, "");
  const launches = launchesOf(stage, row);
  const value = kind === "input" && !program.lines.inside[line];
  const read = value ? program.users(stage, row).map((user) => program.place(stage, user)?.key) : [];
  select(
    new Selection(program, title, {
      kind: value ? "value" : "row",
      places,
      phases: place ? new Set([program.lines.phase[line]]) : null,
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
  const places = new Set(numbers.flatMap((i) => program.launches[i].places));
  const lines = new Set([...places].map((p) => page.places[p].key));
  const phases = new Set(numbers.map((i) => program.launches[i].phase));
  select(new Selection(program, title, { kind: "kernel", places, lines, phases, launches: new Set(numbers) }), from);
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
