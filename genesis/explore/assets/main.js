// The page: its views, its keys.

const VIEWS = {
  overview: ["Overview", overviewView],
  follow: ["Follow", followView],
  stages: ["Stages", stagesView],
  graph: ["Graph", graphView],
  precision: ["Precision", precisionView],
  memory: ["Memory", memoryView],
  time: ["Time", timeView],
};
let shown = null; // the view in sight

/** Show a view. */
function open(name) {
  state.view = name;
  shown = VIEWS[name][1]();
  byId("main").replaceChildren(shown);
  byId("main").dataset.view = name;
  byId("main").setAttribute("aria-label", VIEWS[name][0]);
  for (const tab of byId("views").children) {
    const on = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", on);
    tab.setAttribute("tabindex", on ? "0" : "-1");
    if (on) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  shown.ready?.();
  if ([document.body, byId("main")].includes(document.activeElement)) (shown.querySelector(".rows, .graph > svg") || byId("main")).focus({ preventScroll: true });
  if (state.selection) shown.panes?.forEach((pane) => pane.follow(state.selection, null));
  history.replaceState(null, "", `#${name}`);
}

function openProgram(number) {
  state.program = state.page.programs[number];
  state.stage = state.program.last.number;
  state.left = Math.max(0, state.stage - 1);
  state.code = 0;
  shown = null; // what it shows is of another program
  select(null);
  open(state.view);
}

/** Move to the next or the previous place of the selection in every text of the view. */
function nextPlace(by) {
  shown.panes?.forEach((pane) => {
    const places = pane.places();
    if (!places.length) return;
    pane.at = (pane.at + by + places.length) % places.length;
    pane.hits.textContent = `${pane.at + 1} of ${places.length.toLocaleString("en")}`;
    pane.rows.active = places[pane.at];
    pane.rows.reveal(places[pane.at]);
  });
}

function startTabs() {
  const tabs = byId("views");
  Object.entries(VIEWS).forEach(([name, [title]], i) => {
    tabs.append(h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "main", "aria-keyshortcuts": String(i + 1), click: () => open(name) }, title));
  });
  tabs.addEventListener("keydown", (event) => {
    const names = Object.keys(VIEWS);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const name = names[(names.indexOf(state.view) + step + names.length) % names.length];
    open(name);
    byId(`tab-${name}`).focus();
    event.preventDefault();
  });
}

function startKeys(openSearch) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, dialog")) return;
    if (event.target.closest("select") && !["/", "[", "]", "Escape"].includes(event.key)) return; // a letter chooses an option
    const views = Object.keys(VIEWS);
    if (event.key === "/") openSearch();
    else if (event.key === "?") byId("help").showModal();
    else if (event.key === "Escape") select(null);
    else if (event.key === "n") nextPlace(1);
    else if (event.key === "p") nextPlace(-1);
    else if (event.key === "[") stepStage(-1);
    else if (event.key === "]") stepStage(1);
    else if (views[Number(event.key) - 1]) open(views[Number(event.key) - 1]);
    else return;
    event.preventDefault();
  });
}

function stepStage(by) {
  if (shown.step) {
    shown.step(by);
    return;
  }
  state.stage = Math.max(0, Math.min(state.program.stages.length - 1, state.stage + by));
  state.left = Math.max(0, state.stage - 1);
  if (state.view === "follow") open("follow");
}

async function start() {
  startTheme();
  try {
    state.page = prepared(await readData());
  } catch (error) {
    byId("main").replaceChildren(h("p", { class: "loading" }, `The data cannot be read (${error}). A browser of 2023 or newer can.`));
    return;
  }
  byId("script").textContent = state.page.script;
  const programs = byId("program");
  state.page.programs.forEach((program, i) => {
    const inputs = program.inputs.map((x) => x.type).join(", ");
    programs.append(h("option", { value: i }, `${i + 1}. ${program.name}(${inputs}): ${program.cause}`));
  });
  programs.addEventListener("change", () => openProgram(Number(programs.value)));
  startTabs();
  startInspector();
  const openSearch = startSearch();
  byId("open-search").addEventListener("click", openSearch);
  byId("open-help").addEventListener("click", () => byId("help").showModal());
  startKeys(openSearch);
  listeners.push((selection, from) => shown?.panes?.forEach((pane) => pane.follow(selection, from)));
  const asked = location.hash.slice(1);
  if (VIEWS[asked]) state.view = asked;
  openProgram(0);
}

start();
