// The graph of a stage as modules within modules, and where to draw what is open of it.

const BUNDLE = 24; // ops of one group from which on those of one name are drawn as one

/** An item of the graph: a group of others, an op, or a bundle of ops of one name. */
class Item {
  constructor(id, label, parent) {
    Object.assign(this, { id, label, parent, children: new Map(), rows: [], open: false });
    this.depth = parent ? parent.depth + 1 : 0;
  }

  get isGroup() {
    return this.children.size > 0;
  }

  /** Whether it is drawn as a box around what is in it: phases are colours. */
  get isModule() {
    return this.isGroup && this.depth > 1;
  }

  child(key, label) {
    if (!this.children.has(key)) this.children.set(key, new Item(`${this.id}/${key}`, label, this));
    return this.children.get(key);
  }
}

const PHASES = { input: "arguments", forward: "forward", recomputed: "recomputed", backward: "backward", update: "update" };

/** The tree of the ops of a stage: phase, then module by module. */
function graphTree(program, stage) {
  const root = new Item("", program.stages[stage].name, null);
  root.open = true;
  const lines = program.rows(stage);
  const { kind, inside, op, text, phase, names } = program.lines;
  const behind = new Set(); // rows that need a gradient
  const owner = new Map();
  lines.forEach((line, row) => {
    if (inside[line]) return;
    if (kind[line] === "input" && !text[line].trim().startsWith("input")) return;
    if (!["op", "kernel", "loop", "input"].includes(kind[line])) return;
    const reads = program.reads(stage)[row].map((back) => row - back);
    if (phase[line] === "backward" || reads.some((i) => behind.has(i))) behind.add(row);
    const part = kind[line] === "input" ? "input" : phase[line] === "forward" && behind.has(row) ? "update" : phase[line];
    const place = program.place(stage, row);
    let item = root.child(part, PHASES[part]);
    for (const name of (place?.scope || "").split(".").filter(Boolean)) item = item.child(`.${name}`, name);
    const label = kind[line] === "input" ? `%${names[line][0]}` : kind[line] === "kernel" ? kernelName(program, stage, row) : op[line];
    const leaf = item.child(row, label);
    leaf.rows.push(row);
    leaf.kind = kind[line];
    leaf.phase = part;
    owner.set(row, leaf);
  });
  for (const item of tree(root)) if (item.isGroup) bundle(item, owner);
  for (const item of tree(root)) if (item.isGroup) joinChain(item);
  for (const item of [...tree(root)].reverse())
    if (item.isGroup) {
      item.rows = [...item.children.values()].flatMap((child) => child.rows);
      item.phase = item.id.split("/")[1];
    }
  return { root, owner };
}

/** What a kernel of the last stage is called in the code. */
function kernelName(program, stage, row) {
  const launch = program.stored(stage) === program.stored(program.last.number) ? program.launches.find((x) => x.rows.includes(row)) : null;
  return launch ? launch.kernel : program.lines.op[program.line(stage, row)];
}

function* tree(item) {
  yield item;
  for (const child of item.children.values()) yield* tree(child);
}

/** Many ops of one name in a group become one item. */
function bundle(group, owner) {
  const leaves = [...group.children].filter(([, child]) => !child.isGroup);
  if (leaves.length <= BUNDLE) return;
  const byName = new Map();
  leaves.forEach(([key, leaf]) => byName.set(leaf.label, [...(byName.get(leaf.label) || []), [key, leaf]]));
  for (const [label, members] of byName) {
    if (members.length < 3) continue;
    const one = group.child(`${label}…`, `${label} × ${members.length}`);
    one.kind = "bundle";
    one.phase = members[0][1].phase;
    for (const [key, leaf] of members) {
      group.children.delete(key);
      one.rows.push(...leaf.rows);
      leaf.rows.forEach((row) => owner.set(row, one));
    }
  }
}

/** A group in a group that has nothing else becomes one: `model.blocks`. */
function joinChain(group) {
  while (group.children.size === 1 && group.parent?.parent) {
    const [only] = group.children.values();
    if (!only.isGroup) return;
    group.label = `${group.label}.${only.label}`;
    group.children = only.children;
    for (const child of group.children.values()) child.parent = group;
  }
}

/** Open all phases, then whole rings of modules, outer ones first, as long as no more than `most` items are in sight. */
function openSome(root, most) {
  let ring = [...root.children.values()].filter((item) => item.isGroup);
  for (let first = true; ring.length; first = false) {
    const shown = inSight(root).length + ring.reduce((sum, item) => sum + item.children.size - 1, 0);
    if (shown > most && !first) return;
    ring.forEach((item) => (item.open = true));
    ring = ring.flatMap((item) => [...item.children.values()]).filter((item) => item.isGroup);
  }
}

/** The items in sight: those whose groups are all open. */
function inSight(item) {
  return item.isGroup && item.open ? [...item.children.values()].flatMap(inSight) : [item];
}

/** The item in sight that stands for `item`. */
function standIn(item) {
  let found = item;
  for (let at = item; at; at = at.parent) if (at.parent && !at.open && at.isGroup) found = at;
  return found;
}

/** Place what is in sight: Map of item -> box, the boxes of open groups, the edges. */
function placed(program, stage, { root, owner }) {
  const graph = new dagre.graphlib.Graph({ compound: true });
  graph.setGraph({ rankdir: "TB", nodesep: 14, ranksep: 28, edgesep: 8, marginx: 12, marginy: 12, ranker: "tight-tree" });
  graph.setDefaultEdgeLabel(() => ({}));
  const items = inSight(root);
  const byId = new Map();
  const add = (item, size) => {
    if (byId.has(item.id)) return;
    byId.set(item.id, item);
    graph.setNode(item.id, size);
    if (item.parent?.isModule) {
      add(item.parent, {});
      graph.setParent(item.id, item.parent.id);
    }
  };
  for (const item of items) add(item, { width: Math.max(64, item.label.length * 7.2 + 26), height: item.isGroup ? 40 : 28 });
  const edges = new Map();
  for (const [row, leaf] of owner) {
    const to = standIn(leaf);
    for (const back of program.reads(stage)[row]) {
      const source = owner.get(row - back);
      const from = source && standIn(source);
      if (!from || from === to) continue;
      const key = `${from.id}→${to.id}`;
      const edge = edges.get(key) || { from, to, rows: [] };
      edge.rows.push(row - back);
      edges.set(key, edge);
    }
  }
  for (const { from, to, rows } of edges.values()) graph.setEdge(from.id, to.id, { weight: Math.min(rows.length, 4) });
  dagre.layout(graph);
  return {
    items,
    boxes: new Map([...byId].map(([id, item]) => [item, graph.node(id)])),
    edges: [...edges.values()].map((edge) => ({ ...edge, points: graph.edge(edge.from.id, edge.to.id).points })),
    width: graph.graph().width,
    height: graph.graph().height,
  };
}
