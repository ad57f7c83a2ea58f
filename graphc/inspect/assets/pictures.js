// The tabs that are no text: kernels, the memory plan over time, the time of the compilation.

function isAbout(ids, state) {
  return state.chosen !== null && ids.some((id) => nodes[id].root === nodes[state.chosen].root);
}

function drawKernels(state) {
  const head = html("tr", null, ...["kernel", "region", model.timed ? "time" : "price", "computes", "reads", "writes", "your lines"].map((text) => html("th", null, text)));
  const rows = model.kernels.map((kernel) => {
    const cells = [kernel.name, kernel.region || "", kernel.price, kernel.ops.join(", "), kernel.reads, kernel.writes, kernel.lines.join(", ")];
    const row = html("tr", null, ...cells.map((text, at) => html("td", { class: at < 2 ? "mono" : at === 3 ? "" : "tight" }, text)));
    row.cells[0].replaceChildren(html("button", { class: "chip", type: "button", click: () => chooseOf(kernel.nodes, "") }, kernel.name));
    row.classList.toggle("chosen", isAbout(kernel.nodes, state));
    return row;
  });
  if (!rows.length) return html("p", { class: "hint" }, "No kernels: the step itself computes a few scalars.");
  return html("div", null, html("p", { class: "hint" }, `In the order in which they run. ${model.timed || "The price is what the compiler reckons with, on one thread."}`), html("table", null, head, ...rows));
}

// ---- memory ----

const STEP = 34; // the width of a kernel
const TALLEST = 46;

function drawMemory(state) {
  const { slots, buffers } = model.memory;
  if (!slots.length) return html("p", { class: "hint" }, "The step stores nothing between its kernels.");
  const largest = Math.max(...slots.map((slot) => slot.typical), 1);
  const left = 130;
  const tops = [];
  let y = 30;
  for (const slot of slots) {
    tops.push(y);
    y += Math.max(15, TALLEST * Math.sqrt(slot.typical / largest)) + 4;
  }
  const width = left + STEP * model.kernels.length + 20;
  const picture = svg("svg", { width, height: y + 10, role: "img", "aria-label": "Memory over time" });
  model.kernels.forEach((kernel, at) => {
    const x = left + STEP * at;
    picture.append(svg("line", { class: "grid", x1: x, x2: x, y1: 22, y2: y }), svg("text", { class: "tag", x: x + 2, y: 16 }, kernel.name));
  });
  slots.forEach((slot, at) => picture.append(svg("text", { class: "tag", x: 0, y: tops[at] + 12 }, `${slot.name} ${shortened(slot.bytes, 15)}`)));
  for (const buffer of buffers) picture.append(life(buffer, left, tops, y, state));
  const words = "Across: the kernels in the order in which they run. Down: the arena's slots, tall as the root of their bytes if each symbolic size is 64. A bar is a buffer from the kernel that writes it to the last that reads it.";
  return html("div", null, html("p", { class: "hint" }, words), picture);
}

function life(buffer, left, tops, bottom, state) {
  const others = model.memory.buffers.filter((each) => each !== buffer && each.slot === buffer.slot);
  const takesOver = others.some((each) => each.last === buffer.first && each.first < buffer.first); // within one kernel
  const handsOver = others.some((each) => each.first === buffer.last && each.last > buffer.last);
  const x = left + STEP * (buffer.first + takesOver / 2);
  const top = tops[buffer.slot];
  const height = (tops[buffer.slot + 1] ?? bottom) - top - 4;
  const wide = left + STEP * (buffer.last + 1 - handsOver / 2) - x;
  const made = svg("g", { class: `life ${nodes[buffer.node].phase}`, click: () => choose(buffer.node) });
  made.classList.toggle("related", isAbout([buffer.node], state));
  made.append(svg("title", null, `${buffer.label}: ${buffer.type}, ${buffer.bytes}, in m${buffer.slot}`));
  made.append(svg("rect", { x, y: top, width: wide, height, rx: 3 }));
  const most = Math.floor((wide - 6) / LETTER);
  made.append(svg("text", { class: "tag", x: x + 3, y: top + Math.min(12, height - 3) }, most >= 2 ? shortened(buffer.label, most) : ""));
  return made;
}

// ---- the time of the compilation ----

function drawCompile() {
  const total = model.compile.reduce((sum, [, seconds]) => sum + seconds, 0);
  const least = 1e-5;
  const width = (seconds) => Math.max(0, Math.log(Math.max(seconds, least) / least) / Math.log(Math.max(total, 10 * least) / least));
  let start = 0;
  const rows = model.compile.map(([stage, seconds]) => {
    const bar = html("div", { class: "time" });
    bar.style.width = `${Math.round(100 * width(seconds))}%`;
    const row = html("tr", null, html("td", { class: "mono" }, stage), html("td", null, secondsText(start)), html("td", null, secondsText(seconds)),
      html("td", null, `${(100 * seconds / total).toFixed(1)}%`), html("td", { class: "wide" }, bar));
    start += seconds;
    return row;
  });
  const head = html("tr", null, ...["stage", "began after", "took", "share", "on a logarithmic scale from 10 \u00b5s"].map((text) => html("th", null, text)));
  return html("div", null, html("p", { class: "hint" }, `Compiled in ${secondsText(total)}; cache ${model.cache}`), html("table", null, head, ...rows));
}

function secondsText(seconds) {
  for (const [unit, name] of [[1, "s"], [1e-3, "ms"]]) if (seconds >= unit) return `${Number((seconds / unit).toPrecision(3))} ${name}`;
  return `${Number((seconds / 1e-6).toPrecision(3))} \u00b5s`;
}
