// Draws a view as SVG, and marks what is chosen. The place that a box has on screen is kept when layers open.

const TAG = { forward: "forward", backward: "backward", update: "update", guard: "check" };

const canvas = document.getElementById("canvas");
let view = null;

function drawPicture(state) {
  const seen = [canvas.scrollLeft, canvas.scrollTop];
  view = viewOf(state);
  layOut(view);
  const picture = svg("svg", { viewBox: `0 0 ${view.width} ${view.height}`, role: "img", "aria-label": `${model.name}: ${state.stage}` });
  picture.append(svg("defs", null, ...Object.keys(TAG).map(arrowHead)));
  const halves = state.stage === GRADIENTS ? ["values", "gradients"] : ["forward", "backward and update"];
  if (view.home.size) picture.append(halfTitle(halves[0], view.left / 2), halfTitle(halves[1], (view.left + GAP + view.width) / 2));
  const lines = svg("g", null);
  const boxes = svg("g", null);
  for (const edge of view.edges) lines.append(...drawnEdge(edge));
  for (const box of view.boxes.values()) boxes.append(drawnBox(box, state));
  picture.append(lines, boxes);
  canvas.replaceChildren(picture);
  zoomTo(state);
  canvas.scrollLeft = seen[0];
  canvas.scrollTop = seen[1];
  drawLegend(state);
}

function zoomTo(state) {
  const picture = canvas.firstChild;
  if (!state.zoom) state.zoom = Math.min(1.3, Math.max(0.6, (canvas.clientWidth - 24) / view.width));
  picture.setAttribute("width", view.width * state.zoom);
  picture.setAttribute("height", view.height * state.zoom);
}

function halfTitle(text, x) {
  return svg("text", { class: "side", x, y: 20, "text-anchor": "middle" }, text);
}

function arrowHead(phase) {
  const attributes = { id: `arrow-${phase}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" };
  return svg("marker", attributes, svg("path", { d: "M0 0.8 L7.5 4 L0 7.2 z", class: `arrow ${phase}` }));
}

function drawnEdge(edge) {
  const phase = view.boxes.get(edge.to).phase;
  const path = svg("path", { class: `edge ${phase}${edge.saved ? " saved" : ""}`, d: curve(edge), "marker-end": `url(#arrow-${phase})` });
  edge.element = path;
  if (edge.label === undefined) return [path];
  const end = edge.points.at(-1); // a short label stands beside the arrow, a long one below it
  const long = edge.label.length > 5;
  const attributes = { class: "edge-label", x: end.x + (long ? 0 : 6), y: end.y + (long ? 20 : 16), "text-anchor": long ? "middle" : "start" };
  return [path, svg("text", attributes, edge.label)];
}

function curve(edge) {
  const [first, ...rest] = edge.points;
  let d = `M${round(first.x)} ${round(first.y)}`;
  let last = first;
  for (const point of rest) {
    if (edge.saved || edge.level) {
      const middle = (last.x + point.x) / 2;
      d += ` C${round(middle)} ${round(last.y)} ${round(middle)} ${round(point.y)} ${round(point.x)} ${round(point.y)}`;
    } else {
      const middle = (last.y + point.y) / 2;
      d += ` C${round(last.x)} ${round(middle)} ${round(point.x)} ${round(middle)} ${round(point.x)} ${round(point.y)}`;
    }
    last = point;
  }
  return d;
}

function round(value) {
  return Math.round(value * 10) / 10;
}

function drawnBox(box, state) {
  const left = round(box.x - box.w / 2);
  const top = round(box.y - box.h / 2);
  const kind = `box ${box.phase}${box.leaf ? " leaf" : ""}${box.group ? " group" : ""}`;
  const made = svg("g", { class: kind, "data-key": box.key });
  made.append(svg("title", null, titleOf(box, state)));
  made.append(svg("rect", { x: left, y: top, width: box.w, height: box.h, rx: box.leaf ? box.h / 2.4 : 5 }));
  const middle = round(box.x);
  made.append(svg("text", { class: "title", x: middle, y: top + 18, "text-anchor": "middle" }, box.title));
  box.lines.forEach((line, at) => {
    made.append(svg("text", { class: line.kind, x: middle, y: top + 34 + 16 * at, "text-anchor": "middle" }, line.text));
  });
  const tint = tintOf(box, state);
  if (tint) made.style.setProperty("--tint", tint);
  box.element = made;
  return made;
}

function titleOf(box, state) {
  if (box.group) return `${nodes[box.ids[0]].layer}: ${box.ids.length} nodes, ${TAG[box.phase]}. Double-click opens it.`;
  const id = box.ids[0];
  return `${nameOf(id, state.stage)} = ${spelled(id, state.stage)} : ${nodes[id].type}  ${nodes[id].where} (${TAG[nodes[id].phase]})`;
}

// ---- colours ----

function tintOf(box, state) {
  if (state.colour === "phase" || state.stage === GRADIENTS) return null;
  if (!box.kernels.length) return "var(--quiet)";
  if (state.colour === "kernel") return kernelTint(box.kernels[0]);
  const dearest = Math.max(...model.kernels.map((kernel) => kernel.cost)) || 1;
  const share = Math.max(...box.kernels.map((at) => model.kernels[at].cost)) / dearest;
  return `color-mix(in srgb, light-dark(#b91c1c, #ff7b72) ${Math.round(100 * Math.sqrt(share))}%, light-dark(#94a3b8, #64748b))`;
}

function kernelTint(at) {
  const hue = (at * 137.5 + 210) % 360; // the golden angle: neighbours differ
  return `light-dark(hsl(${hue} 70% 38%), hsl(${hue} 70% 68%))`;
}

function drawLegend(state) {
  const legend = document.getElementById("legend");
  const shown = new Set([...view.boxes.values()].map((box) => box.phase));
  const entries = Object.keys(TAG).filter((phase) => shown.has(phase)).map(legendKey);
  if (state.colour === "kernel" && state.stage !== GRADIENTS) entries.push(html("span", null, "Colours: kernels; boxes name theirs."));
  const dearest = model.timed ? "that take the most time" : "that the compiler reckons dearest, if each symbolic size is 64";
  if (state.colour === "price" && state.stage !== GRADIENTS) entries.push(html("span", null, `Red: the kernels ${dearest}.`));
  if (state.layers) entries.push(html("span", null, "Double-click or Enter opens a layer, or closes it."));
  if (state.stage === GRADIENTS) entries.push(html("span", null, "An edge on the right carries the gradient that flows back along it."));
  legend.replaceChildren(...entries);
}

function legendKey(phase) {
  const sample = svg("svg", { width: 24, height: 14, "aria-hidden": "true" }, svg("rect", { x: 2, y: 2, width: 20, height: 10, rx: 3 }));
  return html("span", { class: `key ${phase}` }, sample, TAG[phase]);
}

// ---- what is chosen ----

function markPicture(state) {
  const root = state.chosen === null ? null : nodes[state.chosen].root;
  const chosen = new Set();
  for (const box of view.boxes.values()) {
    const has = state.chosen !== null && box.ids.includes(state.chosen);
    if (has) chosen.add(box.key);
    box.element.classList.toggle("chosen", has);
    box.element.classList.toggle("related", !has && root !== null && box.ids.some((id) => nodes[id].root === root));
    box.element.classList.toggle("found", box.ids.some((id) => state.found.includes(id)));
  }
  for (const edge of view.edges) edge.element.classList.toggle("chosen", chosen.has(edge.from) || chosen.has(edge.to));
}

function boxOf(id) {
  return view.boxes.get(view.keyOf.get(id));
}

// Scrolls the picture so that a box is seen.
function reveal(box) {
  const scale = canvas.firstChild.getBoundingClientRect().width / view.width;
  const offset = Math.max(0, (canvas.clientWidth - view.width * scale) / 2);
  const x = box.x * scale + offset;
  const y = box.y * scale;
  const [w, h] = [(box.w / 2 + 20) * scale, (box.h / 2 + 20) * scale];
  if (x - w < canvas.scrollLeft || x + w > canvas.scrollLeft + canvas.clientWidth) canvas.scrollLeft = x - canvas.clientWidth / 2;
  if (y - h < canvas.scrollTop || y + h > canvas.scrollTop + canvas.clientHeight) canvas.scrollTop = y - canvas.clientHeight / 2;
}

// The box beside one in a direction, first among those that an edge leads to.
function neighbour(box, dx, dy) {
  const linked = new Set();
  for (const edge of view.edges) {
    if (edge.from === box.key) linked.add(edge.to);
    if (edge.to === box.key) linked.add(edge.from);
  }
  let best = null;
  let least = Infinity;
  for (const other of view.boxes.values()) {
    const along = (other.x - box.x) * dx + (other.y - box.y) * dy;
    const across = Math.abs((other.x - box.x) * dy) + Math.abs((other.y - box.y) * dx);
    if (along < 6) continue;
    const far = along + 2 * across + (linked.has(other.key) && along * 3 > across ? 0 : 4000);
    if (far < least) [best, least] = [other, far];
  }
  return best;
}
