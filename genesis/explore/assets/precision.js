// What autocast decided, op by op.

const RULES = { lower: "16 bits", fp32: "float32", promote: "widest", "": "as it comes" };

function precisionView() {
  const { program, page } = state;
  const cast = program.amp.filter((d) => d.rule).length;
  const holder = h("div", { class: "scroll" });
  const shown = new Set(Object.keys(RULES));
  const fill = () => {
    const records = program.amp.filter((d) => shown.has(d.rule));
    holder.replaceChildren(
      table(
        ["Op", "Line and module", "Rule", "In → runs in → out", "Casts"],
        records,
        (d) => {
          const place = page.places[d.place];
          return [
            h("code", {}, d.op),
            [h("code", {}, place.at), h("br"), h("code", { class: "muted" }, place.scope)],
            h("span", { class: `rule ${d.rule || "none"}` }, RULES[d.rule]),
            h("code", { class: "flow" }, `${d.inputs.join(" ")} → ${d.compute} → ${d.outputs.join(" ")}`),
            h("ul", { class: "casts" }, d.casts.map((c) => h("li", {}, h("code", {}, `${c.value} ${c.from} → ${c.to}`), h("span", { class: "muted" }, ` ${c.fate}${c.why ? `: ${c.why}` : ""}`)))),
          ];
        },
        (d) => selectOp(d.op, d.place, null),
        (d) => (state.selection?.places.has(d.place) ? "hit" : ""),
      ),
    );
  };
  const filters = Object.entries(RULES).map(([rule, name]) => {
    const box = h("input", { type: "checkbox", checked: true });
    box.addEventListener("change", () => {
      if (box.checked) shown.add(rule);
      else shown.delete(rule);
      fill();
    });
    const number = program.amp.filter((d) => d.rule === rule).length;
    return h("label", { title: page.rules[rule] }, box, ` ${name} `, h("span", { class: "muted" }, String(number)));
  });
  fill();
  const view = h(
    "article",
    { class: "page" },
    h("h2", {}, "Precision"),
    h("p", {}, cast ? `Autocast decided on ${cast} of ${count(program.amp.length, "op")} that compute on floats.` : "Autocast changed nothing: every op runs in the types of its operands."),
    h("fieldset", { class: "filters" }, h("legend", {}, "Rule"), filters),
    holder,
  );
  view.panes = [{ follow: fill, places: () => [] }];
  return view;
}

/** Select an op of the recorded step, by its name and place. */
function selectOp(op, place, from) {
  const { program, page } = state;
  const key = page.places[place].module;
  const row = program.rows(0).findIndex((line, i) => program.lines.op[line] === op && program.place(0, i)?.module === key);
  if (row >= 0) selectRow(0, row, from);
  else selectLine(page.places[place].file, page.places[place].line, from);
}
