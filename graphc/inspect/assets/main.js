// What one does with the page: choose, search, walk, open, zoom. `current` is all its state.

const LARGE = 300; // nodes from which on a graph starts as layers

const hasGradients = Boolean(model.values) && model.values.loss !== null;

const current = {
  stage: startStage(),
  layers: Math.max(...model.graphs.map((graph) => graph.nodes.length)) > LARGE,
  opened: new Set(), // layers that are shown as nodes
  colour: model.timed ? "price" : "phase",
  zoom: 0, // 0: as the window wants it
  chosen: null,
  found: [],
  tab: "graph",
};

function startStage() {
  if (hasGradients && !model.timed && graphs.get("graph").nodes.length <= LARGE) return GRADIENTS;
  return hasBackward("differentiate") ? "differentiate" : "graph";
}

function hasBackward(stage) {
  return graphs.get(stage).nodes.some((id) => nodes[id].phase === "backward" || nodes[id].phase === "update");
}

// Shows a node everywhere. `still`: the picture is not scrolled, since the mouse is on it.
function choose(id, still = false) {
  current.chosen = id;
  const box = boxOf(id) || [...view.boxes.values()].find((each) => each.ids.some((other) => nodes[other].root === nodes[id].root));
  markPicture(current);
  if (box && !still) reveal(box);
  showDetails(current);
  countLines(current);
  if (PICTURES[current.tab]) showTab(current);
  else markLines(current);
}

function openTab(name) {
  current.tab = name;
  return showTab(current);
}

function showStage(stage) {
  current.stage = stage;
  current.zoom = 0;
  redraw();
}

function redraw() {
  for (const radio of document.querySelectorAll('[role="radio"]')) {
    radio.setAttribute("aria-checked", String(radio.dataset.stage === current.stage));
    radio.tabIndex = radio.dataset.stage === current.stage ? 0 : -1;
  }
  drawPicture(current);
  markPicture(current);
  showDetails(current);
  if (current.chosen !== null && boxOf(current.chosen)) reveal(boxOf(current.chosen));
}

// ---- the bar ----

function buildBar() {
  document.getElementById("name").textContent = model.name;
  document.getElementById("summary").textContent = model.summary.replace(/^# /, "");
  const stages = [...(hasGradients ? [GRADIENTS] : []), ...graphs.keys()];
  const bar = document.getElementById("stages");
  for (const stage of stages) {
    bar.append(html("button", { type: "button", role: "radio", "data-stage": stage, click: () => showStage(stage) }, stage));
  }
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    showStage(stages[(stages.indexOf(current.stage) + step + stages.length) % stages.length]);
    bar.querySelector('[aria-checked="true"]').focus();
    event.preventDefault();
  });
  const layers = document.getElementById("layers");
  layers.checked = current.layers;
  layers.addEventListener("change", () => {
    current.layers = layers.checked;
    current.opened.clear();
    current.zoom = 0;
    redraw();
  });
  if (model.timed) document.querySelector("#colour option[value=price]").textContent = "time";
  document.getElementById("colour").value = current.colour;
  document.getElementById("colour").addEventListener("change", (event) => {
    current.colour = event.target.value;
    redraw();
  });
  const saved = document.getElementById("saved");
  saved.addEventListener("change", () => canvas.classList.toggle("without-saved", !saved.checked));
  for (const [id, factor] of [["smaller", 0.8], ["larger", 1.25], ["fit", 0]]) {
    document.getElementById(id).addEventListener("click", () => zoom(factor));
  }
  document.getElementById("theme").addEventListener("click", switchTheme);
  nameTheme();
}

function zoom(factor) {
  current.zoom = factor && Math.min(4, Math.max(0.1, current.zoom * factor));
  zoomTo(current);
}

function isDark() {
  return getComputedStyle(document.documentElement).colorScheme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
}

function nameTheme() {
  document.getElementById("theme").textContent = isDark() ? "Light" : "Dark";
}

function switchTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
}

// ---- the picture ----

function buildCanvas() {
  canvas.addEventListener("click", (event) => {
    const box = event.target.closest(".box");
    if (box) chooseBox(view.boxes.get(box.dataset.key), true);
  });
  canvas.addEventListener("dblclick", (event) => {
    const box = event.target.closest(".box");
    if (box) openLayer(view.boxes.get(box.dataset.key));
  });
  canvas.addEventListener("keydown", (event) => {
    const direction = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    const box = current.chosen === null ? undefined : markedBox();
    if (direction) {
      const next = box ? neighbour(box, ...direction) : view.boxes.values().next().value;
      if (next) chooseBox(next, false);
    } else if (event.key === "Enter" && box) openLayer(box);
    else if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 1.25 : 0.8);
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.1 : 1 / 1.1);
  }, { passive: false });
}

let walked = null; // the box that arrow keys have come to: in the view of gradients a node has two

function chooseBox(box, still) {
  choose(box.ids.find((id) => nodes[id].role === "value") ?? box.ids[0], still);
  walked = box.key;
  if (!still) reveal(box);
}

function markedBox() {
  const box = walked === null ? undefined : view.boxes.get(walked);
  return box && box.ids.includes(current.chosen) ? box : boxOf(current.chosen);
}

// Opens a layer; its nodes' own layer closes it again.
function openLayer(box) {
  if (!current.layers) return;
  const layer = `${nodes[box.ids[0]].layer}|`;
  for (const phase of Object.keys(TAG)) {
    if (box.group) current.opened.add(layer + phase);
    else current.opened.delete(layer + phase);
  }
  redraw();
}

// ---- search ----

function buildSearch() {
  const search = document.getElementById("search");
  search.addEventListener("input", () => {
    find(search.value);
    if (current.found.length) choose(current.found[0]);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && current.found.length) {
      const at = current.found.indexOf(current.chosen) + (event.shiftKey ? -1 : 1);
      choose(current.found[(at + current.found.length) % current.found.length]);
      tellFound();
    } else if (event.key === "Escape") {
      search.value = "";
      find("");
      canvas.focus();
    } else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.matches("input, select")) return;
    search.focus();
    search.select();
    event.preventDefault();
  });
}

function find(words) {
  const wanted = words.trim().toLowerCase();
  const texts = (id) => [nameOf(id, current.stage), nodes[id].op, nodes[id].where, nodes[id].layer, ...kernelsOf(id).map((at) => model.kernels[at].name)];
  current.found = wanted ? graphOf(current.stage).nodes.filter((id) => isDrawn(id) && texts(id).some((text) => text.toLowerCase().includes(wanted))) : [];
  markPicture(current);
  tellFound(wanted !== "");
}

function tellFound(asked = true) {
  const at = current.found.indexOf(current.chosen) + 1;
  const many = current.found.length;
  document.getElementById("found").textContent = !asked ? "" : many ? `${Math.max(1, at)} of ${many}` : "none";
}

buildBar();
buildTabs(current);
buildCanvas();
buildSearch();
redraw();
openTab(current.tab);
