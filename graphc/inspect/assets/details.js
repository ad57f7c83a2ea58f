// What is known of the chosen node.

function showDetails(state) {
  const details = document.getElementById("details");
  if (state.chosen === null) {
    details.replaceChildren(
      html("h2", null, "Choose a node"),
      html("p", { class: "hint" }, "Click a box, or a line of any text below: the node is shown in all stages at once. ",
        "/ searches, arrow keys walk along the edges."),
      html("p", { class: "hint" }, "Left: what you wrote. Right: what the chain rule made of it, each piece opposite the node that it comes from."));
    return;
  }
  const id = state.chosen;
  const node = nodes[id];
  const op = model.ops[node.op];
  const rows = [
    ["What", `${spelled(id, state.stage)}`],
    ["Elsewhere", otherNames(id, state)],
    ["Type", `${node.type}, ${node.bytes}`],
    ["Your line", node.where],
    ["Made for", phaseText(node)],
    ["Formula", node.role === "value" ? op.doc : ""],
    ["In NumPy", code(op.numpy)],
    ["Gradient", node.role === "value" ? code(op.grad) : ""],
    ["Value", valueText(valueOf(id))],
    ["\u2202loss/\u2202this", valueText(gradientOf(id))],
    ["Flows back", flows(id, state)],
    ["Kernels", kernelChips(id)],
    ["Operands", chips(node.args.filter(isDrawn), state)],
    ["Read by", chips(readersOf(id, state.stage), state)],
    ["Same origin", chips(relativesOf(id, state.stage), state)],
    ["In its layer", chips(state.layers ? neighboursOf(id, state.stage) : [], state)],
  ];
  const list = html("dl", null);
  for (const [term, text] of rows) {
    if (text && (typeof text !== "object" || text.childNodes.length)) list.append(html("dt", null, term), html("dd", null, text));
  }
  const title = html("h2", null, nameOf(id, state.stage));
  details.replaceChildren(title, list);
  if (!graphOf(state.stage).name.has(id)) title.append(html("small", { class: "hint" }, `  not in ${state.stage}`));
}

// `%8 in fold`: what other stages call the node.
function otherNames(id, state) {
  const own = nameOf(id, state.stage);
  const found = new Map();
  for (const [stage, graph] of graphs) {
    const name = graph.name.get(id);
    if (name !== undefined && name !== own) found.set(name, [...(found.get(name) || []), stage]);
  }
  return [...found].map(([name, stages]) => `${name} in ${stages.join(", ")}`).join("; ");
}

function phaseText(node) {
  const phase = { forward: "a value", backward: "a gradient", update: "an update", guard: "a check of the step" }[node.phase];
  return node.layer === node.where ? phase : `${phase}, in ${node.layer}`;
}

function code(text) {
  return text ? html("pre", null, text) : "";
}

function valueText(value) {
  return value === undefined ? "" : code(value[1]);
}

const MOST_CHIPS = 24;

function chips(ids, state) {
  const made = html("span", null);
  for (const id of ids.slice(0, MOST_CHIPS)) {
    const text = `${nameOf(id, state.stage)} ${nodes[id].role === "value" ? nodes[id].op : ""}`.trim();
    made.append(html("button", { class: "chip", type: "button", click: () => choose(id) }, shortened(text, 36)));
  }
  if (ids.length > MOST_CHIPS) made.append(`and ${ids.length - MOST_CHIPS} more`);
  return made;
}

function kernelChips(id) {
  const made = html("span", null);
  for (const at of kernelsOf(id).slice(0, MOST_CHIPS)) {
    const kernel = model.kernels[at];
    made.append(html("button", { class: "chip", type: "button", click: () => openTab("kernels") }, kernel.region ? `${kernel.name} in ${kernel.region}` : kernel.name));
  }
  return made;
}

// The gradient on each edge between this node and its operands.
function flows(id, state) {
  const made = html("span", null);
  if (!model.values) return made;
  for (const [reader, position, , full, local] of model.values.edges) {
    if (reader !== id) continue;
    const to = `to ${nameOf(nodes[reader].args[position], state.stage)}: `;
    made.append(html("pre", null, `${to}${full}${local === null ? "" : `  (local derivative ${local})`}`));
  }
  return made;
}
