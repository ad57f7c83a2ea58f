// Where things stand. What is forward is laid out by dagre, top to bottom. What was made for the backward pass or an
// update stands opposite the forward node that it comes from, mirrored: so each forward edge has its reversed one.

const LETTER = 7.3; // the width of a letter of the 12 px font
const LONGEST = 30; // letters of a name

// The boxes of a view and the edges between them: {boxes: Map key -> box, edges: [{from, to, label?}]}.
function viewOf(state) {
  if (state.stage === GRADIENTS) return gradientView();
  const graph = graphOf(state.stage);
  const hidden = sharedScalars(graph);
  const ids = graph.nodes.filter((id) => isDrawn(id) && !hidden.has(id));
  const keyOf = new Map();
  const boxes = new Map();
  const side = sidesOf(graph, ids);
  for (const id of ids) {
    const phase = side.get(id);
    const layer = `${nodes[id].layer}|${phase}`;
    const key = state.layers && !state.opened.has(layer) ? layer : String(id);
    keyOf.set(id, key);
    if (!boxes.has(key)) boxes.set(key, { key, ids: [], phase, group: key === layer });
    boxes.get(key).ids.push(id);
  }
  for (const box of boxes.values()) write(box, state);
  const edges = new Map();
  for (const id of ids) {
    for (const arg of nodes[id].args) {
      const from = keyOf.get(arg);
      const to = keyOf.get(id);
      if (from !== undefined && from !== to) edges.set(`${from}>${to}`, { from, to });
    }
  }
  const view = { boxes, edges: [...edges.values()], keyOf };
  view.home = homesOf(graph, view);
  return view;
}

// The learning rate, and scalars computed from it alone: they are named where they are read, and not drawn, since an edge
// would lead from them to each update.
function sharedScalars(graph) {
  const updated = new Set(graph.updates.map(([param]) => param));
  const forUpdates = (id) => readersIn(graph, id).every((each) => nodes[each].phase === "update");
  const found = new Set();
  for (const id of graph.nodes) {
    const node = nodes[id];
    const own = node.role === "param" ? !updated.has(id) && readersIn(graph, id).length > 0 : node.phase === "update" && node.args.length > 0;
    const alone = node.args.every((arg) => found.has(arg) || !isDrawn(arg));
    if (own && alone && !node.type.includes("[") && forUpdates(id)) found.add(id);
  }
  return found;
}

// The phase as whose part a node is drawn: its own, but a param that only updates read stands with them.
function sidesOf(graph, ids) {
  const side = new Map(ids.map((id) => [id, nodes[id].phase]));
  for (const id of ids) {
    const all = readersIn(graph, id);
    if (nodes[id].role === "param" && all.length && all.every((each) => nodes[each].phase === "update")) side.set(id, "update");
  }
  return side;
}

const isForward = (box) => box.phase === "forward" || box.phase === "guard";

// For each box that is not forward, the key of the forward box that it stands opposite to.
function homesOf(graph, view) {
  const home = new Map();
  const ofRoot = new Map();
  const ofLayer = new Map();
  let last;
  for (const [id, key] of view.keyOf) {
    const box = view.boxes.get(key);
    if (box.phase !== "forward") continue;
    last = key;
    ofRoot.set(nodes[id].root, key);
    if (!ofLayer.has(nodes[id].layer)) ofLayer.set(nodes[id].layer, key);
  }
  for (const [param, value] of graph.updates) {
    const key = view.keyOf.get(value);
    const own = view.keyOf.get(param);
    const box = key === undefined ? undefined : view.boxes.get(key);
    if (box && !isForward(box) && !home.has(key) && own && isForward(view.boxes.get(own))) home.set(key, own);
  }
  for (const [id, key] of view.keyOf) {
    const box = view.boxes.get(key);
    if (isForward(box) || home.has(key)) continue;
    const root = box.group ? ofLayer.get(nodes[id].layer) : box.phase === "update" ? undefined : ofRoot.get(nodes[id].root);
    if (root !== undefined) home.set(key, root);
  }
  const found = (key) => home.get(key) || (isForward(view.boxes.get(key)) ? key : undefined);
  for (const { from, to } of [...view.edges].reverse()) {
    if (!isForward(view.boxes.get(from)) && !home.has(from) && home.has(to)) home.set(from, home.get(to));
  }
  for (const { from, to } of view.edges) {
    if (!isForward(view.boxes.get(to)) && !home.has(to) && found(from)) home.set(to, found(from));
  }
  for (const box of view.boxes.values()) {
    if (!isForward(box) && !home.has(box.key) && last !== undefined) home.set(box.key, last);
    else if (!isForward(box) && !home.has(box.key)) box.phase = "forward";
  }
  return home;
}

// The textbook's picture: the forward graph with its values, and opposite each node its gradient; an edge of the
// backward graph carries what flows along it.
function gradientView() {
  const graph = graphOf(GRADIENTS);
  const boxes = new Map();
  const keyOf = new Map();
  const home = new Map();
  const edges = [];
  const needed = new Set([model.values.loss]);
  for (const id of [...graph.nodes].reverse()) if (needed.has(id)) nodes[id].args.forEach((arg) => needed.add(arg));
  for (const id of graph.nodes.filter((each) => needed.has(each) && isDrawn(each))) {
    const box = { key: String(id), ids: [id], phase: "forward", group: false };
    write(box, { stage: GRADIENTS });
    boxes.set(box.key, box);
    keyOf.set(id, box.key);
    for (const arg of nodes[id].args) if (boxes.has(String(arg))) edges.push({ from: String(arg), to: box.key });
    if (gradientOf(id) === undefined) continue;
    const mirror = { key: `d${id}`, ids: [id], phase: "backward", group: false };
    mirror.title = `\u2202loss/\u2202${shortened(nameOf(id, GRADIENTS), LONGEST)}`;
    mirror.lines = [{ text: `= ${gradientOf(id)[0]}`, kind: "value" }];
    size(mirror);
    boxes.set(mirror.key, mirror);
    home.set(mirror.key, box.key);
  }
  for (const [reader, position, short] of model.values.edges) {
    const operand = nodes[reader].args[position];
    if (boxes.has(`d${reader}`) && boxes.has(`d${operand}`)) {
      const told = short.length > 5 && short === gradientOf(operand)[0]; // its box says the same
      edges.push({ from: `d${reader}`, to: `d${operand}`, label: told ? undefined : short });
    }
  }
  return { boxes, edges, keyOf, home };
}

// ---- what a box says, and how large it is ----

function write(box, state) {
  const first = nodes[box.ids[0]];
  if (box.group) {
    const ops = box.ids.filter((id) => nodes[id].role === "value").map((id) => nodes[id].op);
    box.title = shortened(first.layer, LONGEST);
    const counts = `${box.ids.length} node${box.ids.length === 1 ? "" : "s"}`;
    box.lines = [{ text: shortened([counts, [...new Set(ops)].join(", ")].filter(Boolean).join(": "), LONGEST + 4), kind: "more" }];
    if (box.phase !== "forward") box.title = `${box.phase === "guard" ? "checks of" : box.phase} ${box.title}`;
  } else {
    const name = shortened(nameOf(box.ids[0], state.stage), LONGEST);
    box.leaf = first.role !== "value";
    box.title = box.leaf ? name : `${name}  ${first.op}`;
    box.lines = [{ text: box.leaf ? `${first.role} ${first.type}` : first.type, kind: "more" }];
    const value = valueOf(box.ids[0]);
    if (value !== undefined) box.lines.push({ text: `= ${value[0]}`, kind: "value" });
  }
  if (state.colour === "kernel" || state.colour === "price") {
    const kernels = [...new Set(box.ids.flatMap(kernelsOf))].sort((a, b) => a - b);
    box.kernels = kernels;
    const names = kernels.map((at) => model.kernels[at].name).join(" ");
    if (kernels.length) box.lines.push({ text: shortened(`in ${names}`, LONGEST), kind: "more" });
  }
  size(box);
}

function size(box) {
  const letters = Math.max([...box.title].length + 4, ...box.lines.map((line) => [...line.text].length));
  box.w = Math.ceil(letters * LETTER) + 18;
  box.h = 24 + box.lines.length * 16;
}

// ---- where they stand ----

const GAP = 60; // between the forward and the backward half

// Gives each box its x and y (the middle), and each edge its points.
function layOut(view) {
  const blocks = blocksOf(view);
  const left = halfOf(view, blocks, (box) => box.w);
  for (const box of view.boxes.values()) if (isForward(box)) ({ x: box.x, y: box.y } = left.node(box.key));
  view.left = view.width = left.graph().width;
  view.height = left.graph().height;
  let right = null;
  if (blocks.size) {
    right = halfOf(view, blocks, (box) => blocks.get(box.key)?.w ?? 40);
    view.width += GAP + right.graph().width;
    for (const [key, block] of blocks) place(block, view.width - right.node(key).x, right.node(key).y);
  }
  for (const edge of view.edges) edge.points = pointsOf(edge, view, left, right);
}

// The forward boxes as dagre lays them out. Both halves have the same rows, since heights are the same: each row is as
// high as what stands on either side.
function halfOf(view, blocks, widthOfBox) {
  const graph = new dagre.graphlib.Graph({ multigraph: false });
  graph.setGraph({ rankdir: "TB", nodesep: 22, ranksep: 36, edgesep: 12, marginx: 18, marginy: 34 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const box of view.boxes.values()) {
    if (isForward(box)) graph.setNode(box.key, { width: widthOfBox(box), height: Math.max(box.h, blocks.get(box.key)?.h ?? 0) });
  }
  for (const edge of view.edges) {
    if (graph.hasNode(edge.from) && graph.hasNode(edge.to)) graph.setEdge(edge.from, edge.to);
  }
  dagre.layout(graph);
  return graph;
}

const BESIDE = 14; // between two boxes of a row
const ABOVE = 26; // between two rows

const widthOf = (row) => row.reduce((sum, box) => sum + box.w + BESIDE, -BESIDE);
const heightOf = (row) => Math.max(...row.map((box) => box.h));

// What stands opposite each forward box: a stack of gradients, and right of it one of updates.
function blocksOf(view) {
  const members = new Map();
  for (const [key, home] of view.home) {
    if (!members.has(home)) members.set(home, []);
    members.get(home).push(view.boxes.get(key));
  }
  const inside = new Map([...members.keys()].map((home) => [home, []]));
  for (const edge of view.edges) {
    const home = view.home.get(edge.from);
    if (home !== undefined && home === view.home.get(edge.to)) inside.get(home).push(edge);
  }
  const blocks = new Map();
  for (const [home, boxes] of members) {
    const stacks = [boxes.filter((box) => box.phase !== "update"), boxes.filter((box) => box.phase === "update")];
    const filled = stacks.filter((stack) => stack.length).map((stack) => stackOf(stack, inside.get(home)));
    const w = filled.reduce((sum, stack) => sum + stack.w + ABOVE, -ABOVE);
    blocks.set(home, { stacks: filled, w, h: Math.max(...filled.map((stack) => stack.h)) });
  }
  return blocks;
}

// Boxes in rows, each row above those that it reads: gradients come in at the bottom.
function stackOf(boxes, edges) {
  const level = new Map(boxes.map((box) => [box.key, 0]));
  const own = edges.filter((edge) => level.has(edge.from) && level.has(edge.to));
  for (let round = 0, moved = true; moved && round < boxes.length; round++) {
    moved = false;
    for (const { from, to } of own) {
      if (level.get(to) > level.get(from)) continue;
      level.set(to, level.get(from) + 1);
      moved = true;
    }
  }
  const rows = [];
  for (const box of boxes) (rows[level.get(box.key)] ||= []).push(box);
  const filled = rows.filter((row) => row);
  return { rows: filled, w: Math.max(...filled.map(widthOf)), h: filled.reduce((sum, row) => sum + heightOf(row) + ABOVE, -ABOVE) };
}

function place(block, x, y) {
  let at = x - block.w / 2;
  for (const stack of block.stacks) {
    let bottom = y + stack.h / 2;
    for (const row of stack.rows) {
      let left = at + stack.w / 2 - widthOf(row) / 2;
      for (const box of row) {
        box.x = left + box.w / 2;
        box.y = bottom - heightOf(row) / 2;
        left += box.w + BESIDE;
      }
      bottom -= heightOf(row) + ABOVE;
    }
    at += stack.w + ABOVE;
  }
}

// The points that an edge goes through; one of the backward half mirrors the forward edge that it reverses.
function pointsOf(edge, view, left, right) {
  const from = view.boxes.get(edge.from);
  const to = view.boxes.get(edge.to);
  edge.saved = isForward(from) && !isForward(to);
  if (edge.saved) {
    return [{ x: from.x + from.w / 2, y: from.y }, { x: to.x - to.w / 2, y: to.y }];
  }
  if (to.x - to.w / 2 >= from.x + from.w / 2 && !isForward(from) && !(to.y + to.h / 2 < from.y - from.h / 2)) {
    edge.level = true;
    return [{ x: from.x + from.w / 2, y: from.y }, { x: to.x - to.w / 2, y: to.y }];
  }
  const up = to.y < from.y;
  const start = { x: from.x, y: from.y + (up ? -from.h : from.h) / 2 };
  const end = { x: to.x, y: to.y + (up ? to.h : -to.h) / 2 };
  if (isForward(from)) return [start, ...bends(left.edge(edge.from, edge.to)), end];
  const mirrored = bends(right.edge(view.home.get(edge.to), view.home.get(edge.from))).reverse();
  const inner = mirrored.map((point) => ({ x: view.width - point.x, y: point.y }));
  return [start, ...inner.filter((point) => up && point.y < start.y && point.y > end.y), end];
}

// Where an edge of dagre's passes other rows; one to the next row goes straight.
function bends(edge) {
  return edge && edge.points.length > 3 ? edge.points.slice(1, -1) : [];
}
