// The graph of a stage: groups that open, zoom, and the way of the selection.

const MOST = 400; // items in sight beyond which no group opens
const VISIBLE = 0.3; // the least scale at which a selection is shown whole
const READABLE = 0.75; // the least scale at which a graph is shown unless all of it is asked for

function graphView() {
  const { program } = state;
  const view = h("div", { class: "graph" });
  const status = h("span", { class: "muted", role: "status" });
  const select = stageSelect(state.stage, (number) => {
    state.stage = number;
    load();
  });
  const button = (text, label, act) => h("button", { type: "button", "aria-label": label, title: label, click: act }, text);
  const canvas = s("svg", { tabindex: "0", role: "group", "aria-label": "Graph: arrows move, Enter opens or selects" });
  const sheet = s("g");
  canvas.append(
    s("defs", {}, s("marker", { id: "tip", viewBox: "0 0 8 8", refX: "7", refY: "4", markerWidth: "7", markerHeight: "7", orient: "auto-start-reverse" }, s("path", { d: "M0 0 8 4 0 8z", class: "tip" }))),
    sheet,
  );
  let graph = null;
  let drawing = null;
  let camera = { x: 0, y: 0, scale: 1 };
  let current = null;

  const load = () => {
    select.value = String(state.stage);
    graph = graphTree(program, state.stage);
    openSome(graph.root, 48);
    showSelection(false);
    draw();
    fit(READABLE);
  };

  const draw = () => {
    drawing = placed(program, state.stage, graph);
    const parts = [];
    const groups = [...drawing.boxes].filter(([item]) => item.isModule && item.open).sort(([a], [b]) => a.depth - b.depth);
    for (const [item, box] of groups) parts.push(groupShape(item, box));
    for (const edge of drawing.edges) parts.push(edgeShape(edge));
    for (const item of drawing.items) parts.push(itemShape(item, drawing.boxes.get(item)));
    sheet.replaceChildren(...parts);
    status.textContent = `${count(drawing.items.length, "item")} of ${count(graph.owner.size, "op")}`;
    light();
  };

  const groupShape = (item, { x, y, width, height }) => {
    const shape = s(
      "g",
      { class: `group ${item.phase}`, transform: `translate(${x - width / 2} ${y - height / 2})` },
      s("rect", { width, height, rx: 8 }),
      s("text", { x: 10, y: -5 }, `− ${item.label}`),
    );
    shape.lastChild.addEventListener("click", () => toggle(item));
    return shape;
  };

  const itemShape = (item, { x, y, width, height }) => {
    const shape = s(
      "g",
      { class: `item ${item.phase} ${item.isGroup ? "closed" : item.kind}`, transform: `translate(${x - width / 2} ${y - height / 2})` },
      s("title", {}, item.isGroup ? `${item.label}: ${count(item.rows.length, "op")}` : program.lines.text[program.line(state.stage, item.rows[0])].trim()),
      s("rect", { width, height, rx: item.isGroup ? 8 : 5 }),
      s("text", { x: width / 2, y: item.isGroup ? 17 : height / 2 + 4 }, item.isGroup ? `+ ${item.label}` : item.label),
      item.isGroup ? s("text", { x: width / 2, y: 32, class: "small" }, count(item.rows.length, "op")) : null,
    );
    shape.addEventListener("click", () => press(item));
    item.shape = shape;
    return shape;
  };

  const edgeShape = (edge) => {
    const path = s("path", { class: "edge", d: curve(edge.points), "marker-end": "url(#tip)" });
    edge.shape = path;
    return path;
  };

  const curve = (points) => {
    let d = `M${points[0].x} ${points[0].y}`;
    for (let i = 1; i < points.length - 1; i++) {
      const [p, q] = [points[i], points[i + 1]];
      const end = i === points.length - 2 ? q : { x: (p.x + q.x) / 2, y: (p.y + q.y) / 2 };
      d += `Q${p.x} ${p.y} ${end.x} ${end.y}`;
    }
    return points.length === 2 ? `${d}L${points[1].x} ${points[1].y}` : d;
  };

  const press = (item) => {
    current = item;
    if (item.isGroup) toggle(item);
    else selectRow(state.stage, item.rows[0], view);
  };

  const toggle = (item) => {
    const more = item.open ? 0 : drawing.items.length + item.children.size;
    if (more > MOST) {
      status.textContent = `${more} items are too many to see; close a group first`;
      return;
    }
    const before = drawing.boxes.get(item);
    const [x, y] = [before.x * camera.scale + camera.x, before.y * camera.scale + camera.y];
    item.open = !item.open;
    draw();
    const after = drawing.boxes.get(item);
    move(camera.scale, x - after.x * camera.scale, y - after.y * camera.scale);
    current = item.open ? inSight(item)[0] : item;
    light();
  };

  /** Mark what is selected, and where the keyboard is. */
  const light = () => {
    const lit = onTop(state.selection?.rows(state.stage) || new Map());
    for (const item of drawing.items) {
      const kinds = new Set(item.rows.map((row) => lit.get(row)));
      item.shape.classList.toggle("focus", kinds.has("focus"));
      item.shape.classList.toggle("hit", kinds.has("hit") && !kinds.has("focus"));
      item.shape.classList.toggle("active", item === current);
    }
    for (const edge of drawing.edges) {
      const on = [edge.from, edge.to].some((item) => item.shape.classList.contains("focus"));
      edge.shape.classList.toggle("lit", on);
    }
  };

  /** Rows outside of bodies: what is marked in the body of a kernel or a loop marks the kernel. */
  const onTop = (rows) => {
    const parents = program.parents(state.stage);
    const found = new Map();
    for (const [row, kind] of rows) {
      let top = row;
      while (parents[top] >= 0 && parents[top] !== top) top = parents[top];
      if (found.get(top) !== "focus") found.set(top, kind);
    }
    return found;
  };

  /** Open the groups around what is selected, if it is one thing, and go there. */
  const showSelection = (go) => {
    if (!state.selection) return;
    const lit = onTop(state.selection.rows(state.stage));
    const focus = [...lit].filter(([, kind]) => kind === "focus").map(([row]) => row);
    const rows = focus.length ? focus : [...lit.keys()];
    const row = rows.find((one) => graph.owner.has(one));
    if (row === undefined) return;
    let changed = false;
    if (focus.length)
      for (let at = graph.owner.get(row).parent; at; at = at.parent) {
        changed ||= !at.open;
        at.open = true;
      }
    if (!go) return;
    if (changed) draw();
    current = standIn(graph.owner.get(row));
    light();
    fitLit();
  };

  const centre = (item) => {
    const box = drawing.boxes.get(item);
    const { clientWidth, clientHeight } = canvas;
    const scale = Math.max(camera.scale, 0.7);
    move(scale, clientWidth / 2 - box.x * scale, clientHeight / 2 - box.y * scale);
    light();
  };

  const move = (scale, x, y) => {
    camera = { scale, x, y };
    sheet.setAttribute("transform", `translate(${x} ${y}) scale(${scale})`);
  };

  const zoom = (factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) => {
    const scale = Math.max(0.05, Math.min(3, camera.scale * factor));
    const by = scale / camera.scale;
    move(scale, x - (x - camera.x) * by, y - (y - camera.y) * by);
  };

  /** Show all of it, or as much as fits at a scale of `least`, from its first item on. */
  const fit = (least = 0.05) => {
    const { clientWidth, clientHeight } = canvas;
    if (!clientWidth) return;
    const scale = Math.min(1.2, clientWidth / drawing.width, clientHeight / drawing.height);
    if (scale >= least) {
      move(scale, (clientWidth - drawing.width * scale) / 2, (clientHeight - drawing.height * scale) / 2);
      return;
    }
    const first = drawing.boxes.get(drawing.items[0]);
    const height = drawing.height * least;
    const wanted = clientWidth / 2 - first.x * least;
    const x = Math.max(Math.min(wanted, 0), clientWidth - drawing.width * least);
    move(least, drawing.width * least < clientWidth ? (clientWidth - drawing.width * least) / 2 : x, Math.max(8, (clientHeight - height) / 2));
  };

  /** Show all that is selected, or the first of it where all would be too small to see. */
  const fitLit = () => {
    const lit = drawing.items.filter((item) => item.shape.matches(".focus, .hit"));
    const boxes = lit.map((item) => drawing.boxes.get(item));
    const ends = (at, size) => [Math.min(...boxes.map((box) => box[at] - box[size] / 2)), Math.max(...boxes.map((box) => box[at] + box[size] / 2))];
    const [[left, right], [top, bottom]] = [ends("x", "width"), ends("y", "height")];
    const { clientWidth, clientHeight } = canvas;
    const scale = Math.min(1.2, clientWidth / (right - left + 80), clientHeight / (bottom - top + 80));
    if (scale < VISIBLE) centre(current);
    else move(scale, (clientWidth - (left + right) * scale) / 2, (clientHeight - (top + bottom) * scale) / 2);
  };

  canvas.addEventListener(
    "wheel",
    (event) => {
      const box = canvas.getBoundingClientRect();
      zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), event.clientX - box.left, event.clientY - box.top);
      event.preventDefault();
    },
    { passive: false },
  );
  const pointers = new Map();
  canvas.addEventListener("pointerdown", (event) => pointers.set(event.pointerId, event));
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    if (pointers.size === 2) {
      const [other] = [...pointers.values()].filter((one) => one.pointerId !== event.pointerId);
      const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
      const box = canvas.getBoundingClientRect();
      zoom(apart(event) / apart(before), (event.clientX + other.clientX) / 2 - box.left, (event.clientY + other.clientY) / 2 - box.top);
    } else {
      const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
      if (!canvas.hasPointerCapture(event.pointerId)) {
        if (Math.hypot(dx, dy) < 4) return;
        canvas.setPointerCapture(event.pointerId);
      }
      move(camera.scale, camera.x + dx, camera.y + dy);
    }
    pointers.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) canvas.addEventListener(name, (event) => pointers.delete(event.pointerId));

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const way = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (way) {
      current = neighbour(way) || current || drawing.items[0];
      centre(standIn(current));
    } else if (event.key === "Enter" || event.key === " ") {
      if (current) press(current);
    } else if (event.key === "Backspace" && current?.parent?.parent) {
      toggle(current.parent);
    } else if (event.key === "+" || event.key === "=") zoom(1.25);
    else if (event.key === "-") zoom(0.8);
    else if (event.key === "0") fit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  /** The item next to the current one, in a direction. */
  const neighbour = ([dx, dy]) => {
    if (!current || !drawing.boxes.has(current)) return drawing.items[0];
    const here = drawing.boxes.get(current);
    let best = null;
    let least = Infinity;
    for (const item of drawing.items) {
      const box = drawing.boxes.get(item);
      const along = (box.x - here.x) * dx + (box.y - here.y) * dy;
      const across = Math.abs((box.x - here.x) * dy) + Math.abs((box.y - here.y) * dx);
      if (item !== current && along > 4 && along + 2 * across < least) [best, least] = [item, along + 2 * across];
    }
    return best;
  };

  const closeAll = () => {
    for (const item of tree(graph.root)) if (item.parent) item.open = false;
    for (const item of graph.root.children.values()) item.open = true;
    draw();
    fit();
  };

  view.append(
    h(
      "div",
      { class: "tools" },
      select,
      button("+", "Zoom in", () => zoom(1.25)),
      button("−", "Zoom out", () => zoom(0.8)),
      h("button", { type: "button", click: () => fit() }, "Show all"),
      h("button", { type: "button", click: closeAll }, "Close modules"),
      status,
      legend(["forward", "recomputed", "backward", "update"]),
    ),
    canvas,
  );
  view.ready = load;
  view.panes = [
    {
      follow: (selection, from) => {
        if (selection && from !== view) showSelection(true);
        light();
      },
      places: () => [],
    },
  ];
  view.step = (by) => {
    state.stage = Math.max(0, Math.min(program.stages.length - 1, state.stage + by));
    load();
  };
  return view;
}

/** What the colours mean. */
const legend = (kinds) =>
  h("ul", { class: "legend", "aria-label": "Colours" }, kinds.map((kind) => h("li", { class: kind }, kind)));
