// Search through source, stages, code, kernels and modules.

const FEW = 60;

function startSearch() {
  const dialog = byId("search");
  const query = byId("query");
  const results = byId("results");
  let found = [];
  let at = 0;

  const mark = () => {
    [...results.children].forEach((item, i) => item.setAttribute("aria-selected", i === at));
    const now = results.children[at];
    if (now) {
      now.scrollIntoView({ block: "nearest" });
      query.setAttribute("aria-activedescendant", now.id);
    } else query.removeAttribute("aria-activedescendant");
  };
  const fill = () => {
    const all = searched(query.value);
    found = all.slice(0, FEW);
    at = 0;
    results.replaceChildren(...found.map((one, i) => h("li", { role: "option", id: `result${i}`, click: () => choose(i) }, h("span", { class: "kind" }, one.kind), h("code", {}, one.text), h("span", { class: "muted" }, one.note || ""))));
    byId("found").textContent = query.value.trim() ? (all.length > FEW ? `${FEW} of ${all.length.toLocaleString("en")}` : count(all.length, "result")) : "";
    mark();
  };
  const choose = (i) => {
    if (!found[i]) return;
    dialog.close();
    found[i].go();
  };
  query.addEventListener("input", fill);
  query.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      at = Math.max(0, Math.min(found.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)));
      mark();
    } else if (event.key === "Enter") choose(at);
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  return () => {
    dialog.showModal();
    query.select();
    fill();
  };
}

function goToCode(number, line) {
  open("follow");
  shown.panes[2].show(number, line);
}

/** What holds all words of a query. */
function searched(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const { program, page } = state;
  const fits = (line) => {
    const low = line.toLowerCase();
    return words.every((word) => low.includes(word));
  };
  const found = [];
  const goTo = (act) => () => {
    if (state.view !== "graph" && state.view !== "stages") open("follow");
    act();
  };
  for (const kernel of new Set(program.launches.map((x) => x.kernel)))
    if (fits(kernel)) found.push({ kind: "kernel", text: kernel, go: goTo(() => selectKernel(kernel, null)) });
  for (const scope of new Set(page.places.map((p) => p.scope)))
    if (scope && fits(scope)) found.push({ kind: "module", text: scope, go: goTo(() => selectScope(scope, null)) });
  page.files.forEach((file, f) =>
    file.lines.forEach((line, i) => {
      if (fits(`${file.name}:${i + 1} ${line}`) && line.trim()) found.push({ kind: "source", text: line.trim(), note: `${file.name}:${i + 1}`, go: goTo(() => selectLine(f, i + 1, null)) });
    }),
  );
  program.code.forEach((code, c) =>
    code.text.forEach((line, i) => {
      if (line.trim() && fits(`${code.file}:${i + 1} ${line}`)) found.push({ kind: "code", text: line.trim(), note: `${code.file}:${i + 1}`, go: () => goToCode(c, i) });
    }),
  );
  const seen = new Set();
  for (const number of [state.stage, ...program.stages.map((stage) => stage.number)]) {
    program.rows(number).forEach((line, row) => {
      if (seen.has(line)) return;
      const [words, place] = program.text(number, row);
      if (!fits(`${words} ${place}`)) return;
      seen.add(line);
      found.push({
        kind: program.stages[number].name,
        text: words.trim(),
        note: place.slice(2),
        go: goTo(() => {
          if (state.stage !== number) {
            state.stage = number;
            open(state.view);
          }
          selectRow(number, row, null);
        }),
      });
    });
  }
  return found;
}
