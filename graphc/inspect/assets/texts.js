// The tabs: each stage's text, with the lines of the chosen node marked; kernels, memory and time.

const sheet = document.getElementById("sheet");
const PART = 200; // lines that the browser lays out at once
const lineMarks = new Map(); // stage -> line -> nodes
const opened = new Map(); // stage -> {lines: elements, element}

for (const [stage, marks] of Object.entries(model.marks)) {
  const lines = new Map();
  for (const [first, last, ids] of marks) for (let at = first; at <= last; at++) lines.set(at, ids);
  lineMarks.set(stage, lines);
}

const PICTURES = { kernels: drawKernels, memory: drawMemory, compile: drawCompile };
const TABS = [...Object.keys(model.marks), ...Object.keys(PICTURES)];

function buildTabs(state) {
  const tabs = document.getElementById("tabs");
  for (const name of TABS) {
    tabs.append(html("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "sheet", click: () => openTab(name) },
      name, html("span", { class: "count", hidden: "" })));
  }
  tabs.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = TABS[(TABS.indexOf(state.tab) + step + TABS.length) % TABS.length];
    openTab(next);
    document.getElementById(`tab-${next}`).focus();
    event.preventDefault();
  });
}

// A stage's text: it lies in the page compressed, and is unpacked when it is first looked at.
async function textOf(stage) {
  const packed = atob(document.getElementById(`text-${stage}`).textContent);
  const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

async function showTab(state) {
  const name = state.tab;
  for (const each of TABS) {
    const tab = document.getElementById(`tab-${each}`);
    tab.setAttribute("aria-selected", String(each === name));
    tab.tabIndex = each === name ? 0 : -1;
  }
  sheet.setAttribute("aria-labelledby", `tab-${name}`);
  if (PICTURES[name]) {
    sheet.replaceChildren(PICTURES[name](state));
    return;
  }
  if (!opened.has(name)) opened.set(name, textSheet(name, await textOf(name)));
  if (state.tab !== name) return; // another tab was opened meanwhile
  sheet.replaceChildren(opened.get(name).element);
  markLines(state);
}

function textSheet(stage, text) {
  const marks = lineMarks.get(stage);
  const element = html("div", { class: "lines" });
  const lines = text.split("\n").map((line, at) => {
    return html("div", { class: marks.has(at) ? "line marked" : "line", "data-line": at }, line);
  });
  for (let at = 0; at < lines.length; at += PART) element.append(html("div", { class: "part" }, ...lines.slice(at, at + PART)));
  element.addEventListener("click", (event) => {
    const line = event.target.closest(".marked");
    if (line && getSelection().isCollapsed) chooseOf(marks.get(Number(line.dataset.line)), stage);
  });
  return { element, lines };
}

// Of a line's nodes the next one after the chosen one, so that clicking again goes through them.
function chooseOf(ids, stage) {
  const all = graphs.has(stage) ? ids : [...new Map(ids.map((id) => [nodes[id].root, id])).values()];
  choose(all[(all.indexOf(current.chosen) + 1) % all.length]);
}

// How lines are about the chosen node: [those about itself, those about nodes of the same origin].
function linesAbout(stage, id) {
  const exact = [];
  const related = [];
  for (const [first, last, ids] of model.marks[stage]) {
    const into = ids.includes(id) ? exact : ids.some((each) => nodes[each].root === nodes[id].root) ? related : null;
    if (into) for (let at = first; at <= last; at++) into.push(at);
  }
  return [exact, related];
}

function markLines(state) {
  const sheetOf = opened.get(state.tab);
  if (!sheetOf) return;
  for (const line of sheetOf.element.querySelectorAll(".exact, .related")) line.classList.remove("exact", "related");
  if (state.chosen === null) return;
  const [exact, related] = linesAbout(state.tab, state.chosen);
  for (const at of related) sheetOf.lines[at]?.classList.add("related");
  for (const at of exact) sheetOf.lines[at]?.classList.add("exact");
  const says = (at) => at > 0 && !/^ {2}(input|param|constant|output|scratch) /.test(sheetOf.lines[at]?.textContent);
  const first = exact.find(says) ?? related.find(says) ?? exact[0];
  if (first !== undefined) scrollSheetTo(sheetOf.lines[first]);
}

function scrollSheetTo(line) {
  for (let round = 0; round < 2; round++) { // the first time what lies between is given its height
    const [box, outer] = [line.getBoundingClientRect(), sheet.getBoundingClientRect()];
    if (box.top < outer.top || box.bottom > outer.bottom) sheet.scrollTop += box.top - outer.top - outer.height / 3;
  }
}

function countLines(state) {
  for (const stage of Object.keys(model.marks)) {
    const count = document.querySelector(`#tab-${stage} .count`);
    const about = state.chosen === null ? 0 : linesAbout(stage, state.chosen).flat().length;
    count.hidden = about === 0;
    count.textContent = about > 99 ? "99+" : String(about);
    count.title = `${about} lines about the chosen node`;
  }
}
