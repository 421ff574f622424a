// Two stages side by side, with what changed between them.

function stagesView() {
  const { program } = state;
  const panes = [new StagePane("left", "Before"), new StagePane("stage", "After")];
  const total = h("span", { class: "muted", role: "status" });
  const unfold = h("input", { type: "checkbox", id: "whole" });
  const opened = new Set();
  let records = [];

  const compare = () => {
    const [a, b] = [state.left, state.stage];
    const keys = [a, b].map((stage) => (row) => program.lines.names[program.line(stage, row)].join());
    const all = sideBySide(program.rows(a), program.rows(b), keys);
    const tally = { old: 0, new: 0, both: 0, same: 0 };
    all.forEach((record) => (tally[record.kind] += 1));
    total.textContent = `+${tally.new + tally.both} −${tally.old + tally.both} lines`;
    records = unfold.checked ? all : folded(all, opened);
    panes.forEach((pane, side) => fill(pane, side));
  };

  const fill = (pane, side) => {
    const stage = side ? state.stage : state.left;
    const rowOf = (i) => (side ? records[i].right : records[i].left);
    const text = stageText(stage);
    pane.number = stage;
    pane.select.value = String(stage);
    pane.rows.show({
      label: `${side ? "After" : "Before"}: ${program.stages[stage].name}`,
      count: records.length,
      width: text.width,
      number: (i) => (records[i].kind === "fold" || rowOf(i) < 0 ? "" : String(rowOf(i) + 1)),
      html: (i) => {
        const { kind, from, to } = records[i];
        if (kind === "fold") return `<span class="fold">⋯ ${(to - from).toLocaleString("en")} equal lines</span>`;
        if (rowOf(i) < 0) return "";
        return kind === "both" ? marked(records[i], side) : text.html(rowOf(i));
      },
      classes: (i) => {
        const { kind } = records[i];
        if (kind === "fold") return "folded";
        const lit = state.selection?.rows(stage).get(rowOf(i)) || "";
        const change = { same: "", both: "changed", old: side ? "gap" : "removed", new: side ? "added" : "gap" }[kind];
        return `${change} ${lit}`;
      },
      choose: (i) => {
        if (records[i].kind === "fold") {
          opened.add(records[i].from);
          const top = pane.rows.element.scrollTop;
          compare();
          panes.forEach((one) => (one.rows.element.scrollTop = top));
        } else if (rowOf(i) >= 0) selectRow(stage, rowOf(i), pane);
      },
    });
    pane.start = () => pane.places()[0];
    pane.places = () => {
      const lit = state.selection?.rows(stage);
      const found = lit ? records.flatMap((_, i) => (lit.has(rowOf(i)) ? [i] : [])) : [];
      const focus = found.filter((i) => lit.get(rowOf(i)) === "focus");
      return focus.length ? focus : found;
    };
  };

  /** A line that changed, with the part that did. */
  const marked = ({ left, right }, side) => {
    const texts = [program.text(state.left, left), program.text(state.stage, right)].map(([text, place]) => `${text.trimEnd()}  ${place}`);
    const mine = texts[side];
    let start = 0;
    while (start < mine.length && texts[0][start] === texts[1][start]) start++;
    let end = 0;
    const most = Math.min(texts[0].length, texts[1].length) - start;
    while (end < most && texts[0][texts[0].length - 1 - end] === texts[1][texts[1].length - 1 - end]) end++;
    const until = mine.length - end;
    return `<code>${escaped(mine.slice(0, start))}<mark>${escaped(mine.slice(start, until))}</mark>${escaped(mine.slice(until))}</code>`;
  };

  panes.forEach((pane, side) => {
    pane.open = () => {
      opened.clear();
      compare();
    };
    pane.rows.element.addEventListener("scroll", () => {
      const other = panes[1 - side].rows.element;
      const { scrollTop, scrollLeft } = pane.rows.element;
      if (other.scrollTop !== scrollTop) other.scrollTop = scrollTop;
      if (other.scrollLeft !== scrollLeft) other.scrollLeft = scrollLeft;
    });
  });
  unfold.addEventListener("change", compare);
  const step = (by) => {
    const to = Math.max(1, Math.min(program.stages.length - 1, state.stage + by));
    [state.left, state.stage] = [to - 1, to];
    opened.clear();
    compare();
    panes.forEach((pane) => pane.follow(state.selection, null));
  };
  const tools = h(
    "div",
    { class: "tools" },
    h("button", { type: "button", click: () => step(-1), "aria-keyshortcuts": "[" }, "‹ pass before"),
    h("button", { type: "button", click: () => step(1), "aria-keyshortcuts": "]" }, "pass after ›"),
    total,
    h("label", { for: "whole" }, unfold, " show equal lines"),
  );
  compare();
  const view = h("div", { class: "stages" }, tools, h("div", { class: "panes two" }, panes.map((pane) => pane.element)));
  view.panes = panes;
  view.step = step;
  return view;
}
