// The model of the step, which the page holds as JSON (see links.py), and what is asked of it. Nodes are numbers.

const model = JSON.parse(document.getElementById("model").textContent);
const nodes = model.nodes;
const graphs = new Map(model.graphs.map((graph) => [graph.stage, graph]));

const GRADIENTS = "gradients"; // the view beside the stages: the graph as built, and the gradient on each edge

for (const graph of graphs.values()) {
  graph.name = new Map(graph.nodes.map((id, at) => [id, graph.names[at]]));
}

const kernelsOfRoot = new Map();
model.kernels.forEach((kernel, at) => {
  for (const id of kernel.nodes) {
    const root = nodes[id].root;
    if (!kernelsOfRoot.has(root)) kernelsOfRoot.set(root, new Set());
    kernelsOfRoot.get(root).add(at);
    nodes[id].kernels = [...new Set([...(nodes[id].kernels || []), at])];
  }
});

// The kernels that compute a node; for one that a pass has replaced, those of what came of it in its phase, else of what read it.
function kernelsOf(id) {
  const node = nodes[id];
  if (node.kernels) return node.kernels;
  if (node.role === "input" || node.role === "param") return [];
  const same = (at) => model.kernels[at].nodes.some((each) => nodes[each].root === node.root && nodes[each].phase === node.phase);
  const found = [...(kernelsOfRoot.get(node.root) || [])].filter(same);
  const last = [...graphs.values()].reverse().find((graph) => graph.name.has(id));
  node.kernels = found.length || !last ? found : [...new Set(readersIn(last, id).flatMap(kernelsOf))];
  return node.kernels;
}

function graphOf(stage) {
  return graphs.get(stage === GRADIENTS ? "graph" : stage);
}

// What a node is called: by its name in this stage, or in the first that has it.
function nameOf(id, stage) {
  const own = graphOf(stage).name.get(id);
  if (own !== undefined) return own;
  for (const graph of graphs.values()) if (graph.name.has(id)) return graph.name.get(id);
  return nodes[id].op;
}

// `dot(x, W1)`.
function spelled(id, stage) {
  const node = nodes[id];
  if (node.role === "input" || node.role === "param") return node.role;
  return `${node.op}(${[...node.args.map((arg) => nameOf(arg, stage)), ...node.attrs].join(", ")})`;
}

function isDrawn(id) {
  return nodes[id].role !== "number";
}

function readersOf(id, stage) {
  return readersIn(graphOf(stage), id);
}

function readersIn(graph, id) {
  if (!graph.readers) {
    graph.readers = new Map();
    for (const reader of graph.nodes) {
      for (const arg of new Set(nodes[reader].args)) graph.readers.set(arg, [...(graph.readers.get(arg) || []), reader]);
    }
  }
  return graph.readers.get(id) || [];
}

// All nodes of a stage that come from the same node of the user's.
function relativesOf(id, stage) {
  return graphOf(stage).nodes.filter((each) => each !== id && nodes[each].root === nodes[id].root);
}

// The other nodes of a stage in the same layer and of the same phase.
function neighboursOf(id, stage) {
  const same = (each) => nodes[each].layer === nodes[id].layer && nodes[each].phase === nodes[id].phase;
  return graphOf(stage).nodes.filter((each) => each !== id && isDrawn(each) && same(each));
}

function valueOf(id) {
  return model.values ? model.values.nodes[id] : undefined;
}

function gradientOf(id) {
  return model.values ? model.values.gradients[id] : undefined;
}

// ---- making elements: a user's text is always a text node ----

const SVG = "http://www.w3.org/2000/svg";

function fill(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") made.addEventListener(key, value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function html(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function shortened(text, most) {
  const letters = [...text];
  return letters.length <= most ? text : letters.slice(0, most - 1).join("") + "\u2026";
}
