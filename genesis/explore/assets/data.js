// The data of the page, and what is looked up in it.

async function readData() {
  const packed = Uint8Array.from(atob(byId("data").textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/** Where an op comes from: `train.py:13 model.0 [autocast]`. */
class Place {
  constructor(number, [file, line, scope, note], files) {
    Object.assign(this, { number, file, line, scope, note });
    this.known = Boolean(files[file].path) || line > 0;
    this.at = this.known ? `${files[file].name}:${line}` : "";
    this.key = `${file}:${line}`;
    this.module = `${this.key} ${scope}`;
    this.text = [this.at || "?", scope, note && `[${note}]`].filter(Boolean).join(" ");
  }
}

/** A program of the page with its indexes. */
class Program {
  constructor(record, page) {
    Object.assign(this, record);
    this.page = page;
    this.stages.forEach((stage, i) => {
      stage.number = i;
      stage.parents = null;
    });
    this.last = this.stages[this.stages.length - 1];
    this.bodies = this.launches.map((launch) => launch.rows.flatMap((row) => this.bodyOf(row)));
    this.named = this.stages.map(() => null);
  }

  /** The stage that holds the rows of stage `i`. */
  stored(i) {
    const stage = this.stages[i];
    return stage.same === undefined ? stage : this.stages[stage.same];
  }

  rows(i) {
    return this.stored(i).lines;
  }

  reads(i) {
    return this.stored(i).reads;
  }

  line(stage, row) {
    return this.rows(stage)[row];
  }

  place(stage, row) {
    return this.page.places[this.lines.place[this.line(stage, row)]];
  }

  /** The text of a row, with where it comes from. */
  text(stage, row) {
    const text = this.lines.text[this.line(stage, row)];
    const place = this.place(stage, row);
    return place ? [text.padEnd(60), `# ${place.text}`] : [text, ""];
  }

  /** For each row the row of the kernel or loop around it, -1 outside. */
  parents(i) {
    const stage = this.stored(i);
    if (!stage.parents) {
      const open = [];
      stage.parents = stage.lines.map((line, row) => {
        const kind = this.lines.kind[line];
        if (kind === "end") return open.length ? open.pop() : -1;
        const parent = open.length ? open[open.length - 1] : -1;
        if (kind === "kernel" || kind === "loop") open.push(row);
        return parent;
      });
    }
    return stage.parents;
  }

  /** The rows of a kernel: its own and those of its body, in the last stage. */
  bodyOf(row) {
    const parents = this.parents(this.last.number);
    const found = [row];
    for (let i = row + 1; i < parents.length && parents[i] !== -1; i++) {
      if (parents[i] === row) found.push(i);
      else if (!found.includes(parents[i])) break;
      else found.push(i);
    }
    return found;
  }

  /** The row that defines a value in a stage. */
  rowOf(stage, name) {
    const at = this.stored(stage).number;
    if (!this.named[at]) {
      const found = new Map();
      this.rows(at).forEach((line, row) => this.lines.names[line].forEach((one) => found.set(one, row)));
      this.named[at] = found;
    }
    return this.named[at].get(name);
  }

  /** The rows that read a row. */
  users(stage, row) {
    const found = [];
    this.reads(stage).forEach((back, i) => {
      if (back.some((d) => i - d === row)) found.push(i);
    });
    return found;
  }
}

function prepared(data) {
  const page = { ...data };
  page.places = data.places.map((record, i) => new Place(i, record, data.files));
  page.programs = data.programs.map((record) => new Program(record, page));
  return page;
}
