"""The page: the model that joins all stages, numbers beside numbers worked out by hand, and what hostile names do."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import batch, classifier

import graphc as gc
from graphc.errors import InputError
from graphc.function import Function
from graphc.inspect.formulas import formulas_of, source_of
from graphc.inspect.layers import MOST, WHOLE, layer_name, layers_of
from graphc.inspect.links import Links, links_of
from graphc.inspect.stages import phases_of
from graphc.inspect.svg import svg_of
from graphc.inspect.values import full_text, short_text, values_of
from graphc.ir import OPS
from graphc.origin import made_for
from graphc.request import graph_of

HOSTILE = '</script><script>document.title="owned"</script>\n"quoted" \'too\' \u2028\u202e<!-- &amp; </script x'

HOSTILE_STEP = '</script><script>document.title="owned"</script>'


def train(**options: object) -> Function:
    return gc.compile(classifier().loss, optimizer=gc.SGD(lr=0.1), name="digits", **options)


def deep(layers: int = 30) -> Function:
    x, y = gc.input("x", ("batch", 64)), gc.input("y", ("batch",), "int64")
    h = x
    for at in range(layers):
        h = gc.nn.dense(h, 64, activation="relu", name=f"layer{at}")
    return gc.compile(gc.softmax_cross_entropy(gc.nn.dense(h, 10, name="out"), y), optimizer=gc.SGD(lr=0.1))


def links(step: Function) -> Links:
    return links_of(step._passed, step.stages, step.report(), step.summary())


class Page(HTMLParser):
    """The elements of a page, and the text of each script by its id."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self._within: str | None = None
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._within = str(dict(attrs).get("id", tag)) if tag in ("script", "style", "title") else None

    def handle_endtag(self, tag: str) -> None:
        self._within = None

    def handle_data(self, data: str) -> None:
        if self._within is not None:
            self.scripts[self._within] = self.scripts.get(self._within, "") + data


def page(step: Function, tmp_path: Path, values: Any = None) -> Page:
    step.to_html(tmp_path / "step.html", values)
    return Page(tmp_path / "step.html")


def test_kernels_have_the_times_of_a_profile(python_mode: None) -> None:
    step, other, y = deep(1), deep(2), gc.input("y", ("batch",), "int64")
    profile = step.profile(np.zeros((3, 64), np.float32), np.zeros(3, np.int64))
    facts = links_of(step._passed, step.stages, step.report(), step.summary(), profile).facts
    assert "(batch=3): " in facts["timed"]
    assert {each["name"]: each["cost"] for each in facts["kernels"]} == {
        row.name: row.seconds for row in profile.rows if row.calls
    }
    wider = gc.compile(gc.softmax_cross_entropy(gc.nn.dense(gc.input("x", ("batch", 64)), 11), y), optimizer=gc.SGD(1))
    for another in (other, wider):
        with pytest.raises(InputError, match="the profile is of another step"):
            links_of(another._passed, another.stages, another.report(), another.summary(), profile)


# ---- the textbook's picture -----------------------------------------------------------------------------------------

FEEDS = {"x": 2.0, "w": 3.0, "b": 1.0, "y_true": 4.0}


def scalar() -> Function:
    """loss = |y_true - (x * w + b)|: Chollet, Deep Learning with Python, section 2.4.4."""
    x, w, b, y_true = (gc.input(name, (), "float64") for name in FEEDS)
    return gc.compile(abs(y_true - (x * w + b)))


def test_the_textbooks_numbers(python_mode) -> None:
    """x1 = 2 * 3 = 6, x2 = 6 + 1 = 7, loss = |4 - 7| = 3; and 1, 1, 2, 1 on the reversed edges."""
    step = scalar()
    found = values_of(step._passed, FEEDS)
    name = {node.op.name if node.name is None else node.name: node for node in found.of}
    value = {key: float(found.of[node]) for key, node in name.items()}
    assert value == {**FEEDS, "multiply": 6, "add": 7, "subtract": -3, "abs": 3}
    gradient = {key: float(found.gradient[node]) for key, node in name.items()}
    assert gradient == {"abs": 1, "subtract": -1, "y_true": -1, "add": 1, "multiply": 1, "b": 1, "w": 2, "x": 3}
    flow = {
        (each.reader.op.name, each.reader.args[each.position].name or "node"): (float(each.gradient), each.local)
        for each in found.edges
    }
    assert flow == {
        ("abs", "node"): (-1, -1),
        ("subtract", "y_true"): (-1, 1),
        ("subtract", "node"): (1, -1),  # grad(loss, x2) = 1
        ("add", "node"): (1, 1),  # grad(x2, x1) = 1
        ("add", "b"): (1, 1),  # grad(x2, b) = 1
        ("multiply", "w"): (2, 2),  # grad(x1, w) = 2
        ("multiply", "x"): (3, 3),
    }


def test_the_textbooks_numbers_are_in_the_page(python_mode, tmp_path: Path) -> None:
    model = json.loads(page(scalar(), tmp_path, FEEDS).scripts["model"])
    number = dict(zip(model["graphs"][0]["names"], map(str, model["graphs"][0]["nodes"]), strict=True))
    values = model["values"]
    assert [values["nodes"][number[name]] for name in ("x", "%0", "%1", "%2", "%3")] == [
        *(["2", "2."], ["6", "6."], ["7", "7."], ["-3", "-3."], ["3", "3."])
    ]
    assert [values["gradients"][number[name]][0] for name in ("%3", "%1", "%0", "w", "b")] == ["1", "1", "1", "2", "1"]
    assert str(values["loss"]) == number["%3"]


def test_gradients_of_a_classifier_are_those_of_the_whole_graph(rng, python_mode) -> None:
    step = train()
    images, labels = batch(rng, 7)
    found = values_of(step._passed, {"x": images, "y": labels})
    wrt = [node for node in found.gradient if node.type.floating and node is not found.loss]
    assert len(wrt) >= 12
    expected = gc.evaluate(gc.grad(found.loss, wrt), {"x": images, "y": labels}, dtype="float64")
    for node, array in zip(wrt, expected, strict=True):
        np.testing.assert_allclose(found.gradient[node], array, rtol=1e-9, atol=1e-12)
    assert {node.name for node in wrt} >= {"W1", "b1", "W2", "b2", "x"}


def test_an_operand_that_is_read_twice_has_two_edges(python_mode) -> None:
    x = gc.input("x", (), "float64")
    found = values_of(gc.compile(x * x)._passed, {"x": 3})
    assert [(each.position, float(each.gradient)) for each in found.edges] == [(0, 3.0), (1, 3.0)]
    assert float(found.gradient[x]) == 6


def test_values_leave_params_alone_and_check_what_they_are_given(rng, python_mode, tmp_path: Path) -> None:
    step = train()
    before = [param.value.copy() for param in step.params]
    images, labels = batch(rng, 4)
    values_of(step._passed, {"x": images, "y": labels})
    for param, value in zip(step.params, before, strict=True):
        np.testing.assert_array_equal(param.value, value)
    with pytest.raises(gc.InputError, match="no input 'z'"):
        step.to_html(tmp_path / "never.html", {"x": images, "y": labels, "z": 1})
    with pytest.raises(gc.InputError, match=r"label 10 at \[0\] of y is outside range\(10\)"):
        step.to_html(tmp_path / "never.html", {"x": images, "y": labels * 0 + 10})
    assert not (tmp_path / "never.html").exists()


def test_how_values_are_written() -> None:
    assert [short_text(np.array(value)) for value in (2.0, True, [1.0, 2.5], np.arange(10.0))] == [
        *("2", "True", "[1 2.5]", "mean 4.5")
    ]
    assert full_text(np.array([[1.0, -2.0]])) == "[[ 1., -2.]]"
    assert full_text(np.arange(100.0)) == "shape (100,): min 0, mean 49.5, max 99"
    assert short_text(np.zeros((0, 3))) == "empty"


# ---- the model ------------------------------------------------------------------------------------------------------


def test_a_node_and_what_was_made_for_it_have_one_root(python_mode) -> None:
    found = links(train())
    nodes = found.facts["nodes"]
    built, differentiated, *_ = found.facts["graphs"]
    forward_dot = next(id for id in built["nodes"] if nodes[id]["op"] == "dot")
    relatives = [id for id in differentiated["nodes"] if nodes[id]["root"] == nodes[forward_dot]["root"]]
    assert {(nodes[id]["op"], nodes[id]["phase"]) for id in relatives} >= {
        *((op, phase) for op, phase in (("dot", "forward"), ("dot", "backward"), ("transpose", "backward")))
    }
    assert all(node["root"] < len(nodes) for node in nodes)
    updates = {nodes[id]["op"] for id in differentiated["nodes"] if nodes[id]["phase"] == "update"}
    assert updates == {"astype", "multiply", "subtract"}
    assert {nodes[id]["phase"] for id in built["nodes"]} == {"forward", "guard"}


def test_what_a_forward_output_needs_is_forward(python_mode) -> None:
    x = gc.input("x", (3, 3), "float64")
    with made_for(None, "backward"):
        turned = gc.transpose(x)  # the user's own x.T is the same node
    graph = graph_of([gc.sum(x.T)])
    assert turned in graph.nodes
    assert turned.phase == "backward"
    assert phases_of(graph)[turned] == "forward"


def test_each_line_of_a_graph_is_its_nodes_line(python_mode) -> None:
    step = train()
    facts = links(step).facts
    for graph in facts["graphs"]:
        names = dict(zip(graph["nodes"], graph["names"], strict=True))
        lines = step.stages[graph["stage"]].splitlines()
        told = {lines[first].split(" = ")[0].strip(): ids for first, _, ids in facts["marks"][graph["stage"]]}
        numbered = {name: [id] for id, name in names.items() if name.startswith("%")}
        assert {key: ids for key, ids in told.items() if key.startswith("%")} == numbered


@pytest.mark.parametrize("stage", ["fuse", "tile", "emit"])
def test_each_line_of_a_program_is_about_what_it_computes(stage: str, python_mode, fused: None) -> None:
    """`v12 = ...` computes %12, `gemm %6 = ...` makes %6, and a comment `# %6 = ...` says so itself."""
    step = train()
    facts = links(step).facts
    last = facts["graphs"][-1]
    names = dict(zip(last["nodes"], last["names"], strict=True))
    lines = step.stages[stage].splitlines()
    about = {first: {names[id] for id in ids} for first, _, ids in facts["marks"][stage]}
    pattern = r".*  # (%\d+) = " if stage == "emit" else r" +(?:v(\d+) = (?!.*\[)|gemm (%\d+) )"
    checked = 0
    for at, line in enumerate(lines):
        found = re.match(pattern, line)
        if found:
            name = next(group for group in found.groups() if group)
            assert about[at] == {name if name.startswith("%") else f"%{name}"}, line
            checked += 1
    assert checked >= 20


def test_a_plans_line_is_about_what_its_slot_holds(python_mode, fused: None) -> None:
    step = train()
    facts = links(step).facts
    names = dict(zip(facts["graphs"][-1]["nodes"], facts["graphs"][-1]["names"], strict=True))
    lines = step.stages["plan"].splitlines()
    for first, _, ids in facts["marks"]["plan"]:
        held = re.findall(r"(%\d+)(?:\.tiles)?:", lines[first])
        assert set(held) <= {names[id] for id in ids}
    assert [first for first, _, _ in facts["marks"]["plan"]] == list(range(1, len(lines)))


def test_a_kernel_is_its_function_in_machine_code(jit_mode, fused: None) -> None:
    step = train()
    facts = links(step).facts
    every = {id for kernel in facts["kernels"] for id in kernel["nodes"]}
    for stage in ("llvm", "asm"):
        lines = step.stages[stage].splitlines()
        found = {}
        for first, last, ids in facts["marks"][stage]:
            assert re.match(r"define |_ZN", lines[first])
            assert first < last <= len(lines)
            found.update(dict.fromkeys(ids, lines[first]))
        assert every <= set(found), "each kernel is in some function"
    lines = step.stages["llvm"].splitlines()
    (step_itself,) = (ids for first, _, ids in facts["marks"]["llvm"] if "4stepB" in lines[first])
    assert set(facts["kernels"][0]["nodes"]) <= set(step_itself), "labels are checked before any tile"


def test_buffers_of_one_slot_live_one_after_another(python_mode, fused: None) -> None:
    facts = links(train()).facts
    memory = facts["memory"]
    at = {kernel["name"]: number for number, kernel in enumerate(facts["kernels"])}
    life = {each["label"]: (each["slot"], each["first"], each["last"]) for each in memory["buffers"]}
    slot, *span = life["%6"]
    assert span == [at["%6"], at["k1"]], "the product, until relu has read it"
    assert life["%8"][:2] == (slot, at["k1"]), "relu overwrites it"
    assert life["%8"][2] == at["%43"], "the gradient of W2 reads it last"
    for slot in range(len(memory["slots"])):
        lives = sorted((each["first"], each["last"]) for each in memory["buffers"] if each["slot"] == slot)
        assert lives
        assert all(one[1] <= other[0] for one, other in pairwise(lives))
    largest = max(memory["buffers"], key=lambda each: each["typical"])
    assert (largest["typical"], largest["bytes"]) == (4 * 64 * 32, "128 B * batch")


def test_the_model_is_small_and_whole(python_mode) -> None:
    facts = links(train()).facts
    assert [graph["stage"] for graph in facts["graphs"]] == ["graph", "differentiate", "simplify", "fold"]
    assert [stage for stage, _ in facts["compile"]][:2] == ["graph", "differentiate"]
    assert set(facts["marks"]) == {*train().stages}
    json.dumps(facts, allow_nan=False)
    for node in facts["nodes"]:
        assert node["type"]
        assert all(arg < len(facts["nodes"]) for arg in node["args"])
        assert node["op"] in facts["ops"]


# ---- formulas -------------------------------------------------------------------------------------------------------


def test_the_text_of_a_rule() -> None:
    assert source_of(OPS["multiply"].grad) == "lambda g, y, a, b: (g * b, g * a)"
    assert source_of(OPS["exp"].numpy) == "np.exp"
    rule = formulas_of(OPS["dot"])["grad"].splitlines()
    assert rule[0] == "def _dot_grad(g: Node, y: Node, a: Node, b: Node) -> tuple[Node, Node]:"
    assert rule[-1] == "    return dot(g, transpose(b)), dot(transpose(a), g)"
    assert source_of(None) == source_of(eval("lambda a: a")) == ""
    missing = [name for name, op in OPS.items() if op.grad is not None and not source_of(op.grad)]
    assert missing == []


# ---- layers ---------------------------------------------------------------------------------------------------------


def names_by_layer(loss: gc.Node) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for node, layer in layers_of(graph_of([loss])).items():
        found.setdefault(re.sub(r"\w+\.py:\d+", "line", layer), []).append(node.name or node.op.name)
    return found


def test_a_layer_is_called_as_its_params_are(python_mode) -> None:
    x = gc.input("x", ("batch", 8))
    h = gc.nn.dense(x, 4, activation="relu", name="hidden")
    z = gc.nn.dense(h, 2, name="out")
    found = names_by_layer(gc.sum(z))
    assert found["hidden"] == ["hidden.W", "dot", "hidden.b", "add", "relu"]
    assert found["out"] == ["out.W", "dot", "out.b", "add"]
    assert found["line after out"] == ["sum"]
    assert found["line"] == ["x"]


def test_numbers_and_lines_are_layers_where_names_are_not() -> None:
    W1, w = gc.param("W1", (2, 2)), gc.param("w", 2)
    assert [layer_name(each) for each in (W1, w, gc.param("block.1.W", 2), gc.input("x2", ()))] == [
        *("layer 1", None, "block.1", None)
    ]
    x = gc.input("x", ("n", 2))
    assert list(names_by_layer(gc.sum(x * w))) == ["line"]


def test_no_layer_is_too_large_and_there_are_not_too_many() -> None:
    x = gc.input("x", ("n",))
    y = x
    for _ in range(1000):
        y = gc.tanh(y)
    sizes = [len(names) for names in names_by_layer(gc.sum(y)).values()]
    assert max(sizes) == WHOLE
    assert len(sizes) == 11
    h = gc.input("h", ("n", 4))
    for at in range(3 * MOST):
        h = gc.nn.dense(h, 4, name=f"layer{at}")
    found = names_by_layer(gc.sum(h))
    assert len(found) <= MOST
    assert sum(map(len, found.values())) == len(graph_of([gc.sum(h)]).nodes)


# ---- the file -------------------------------------------------------------------------------------------------------


def test_a_page_holds_all_texts_and_asks_no_network(python_mode, tmp_path: Path) -> None:
    step = train()
    made = page(step, tmp_path)
    for stage, text in step.stages.items():
        assert gzip.decompress(base64.b64decode(made.scripts[f"text-{stage}"])).decode() == text
    assert set(re.findall(r"(?:https?:)?//[\w.]+\.\w+", made.text.replace("</", ""))) <= {"http://www.w3.org"}
    assert not [attrs for _, attrs in made.tags if "src" in attrs or attrs.get("href", "data:,") != "data:,"]
    policy = next(attrs["content"] for _, attrs in made.tags if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'; ")
    for element in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(made.scripts[element].encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy


def hostile() -> Function:
    x, W = gc.input(HOSTILE, ("n", 3)), gc.param(HOSTILE + ".W", (3, 2))
    return gc.compile(gc.mean(x @ W), optimizer=gc.SGD(lr=0.1), name=HOSTILE_STEP)


def test_hostile_names_are_text(python_mode, tmp_path: Path) -> None:
    made = page(hostile(), tmp_path, {HOSTILE: np.ones((2, 3), "f")})
    plain = page(train(), tmp_path)
    assert [tag for tag, _ in made.tags] == [tag for tag, _ in plain.tags]
    assert [attrs.get("id") for _, attrs in made.tags] == [attrs.get("id") for _, attrs in plain.tags]
    assert made.scripts["script"] == plain.scripts["script"]
    assert not set("<>&") & set(made.scripts["model"])
    assert "owned" in made.scripts["title"]
    names = json.loads(made.scripts["model"])["graphs"][0]["names"]
    assert repr(HOSTILE) in names
    assert repr(HOSTILE + ".W") in names


def test_a_net_of_30_layers_is_under_a_megabyte(jit_mode, fused: None, tmp_path: Path) -> None:
    step = deep()
    made = page(step, tmp_path)
    assert len(made.text.encode()) < 1_000_000
    assert len(step.stages["llvm"]) > 100_000, "the texts are in it"


def test_steps_of_all_kinds_have_a_page(python_mode, tmp_path: Path) -> None:
    a = gc.param("a", 1.0)
    x, at = gc.input("x", ("n", 10)), gc.input("at", (3,), "int64")
    for step in (
        gc.compile(a + 1, updates={a: a * 2}),
        gc.compile([gc.exp(x), gc.take(x, at, axis=0)]),
        gc.compile({"loss": gc.mean(x), "gradient": gc.grad(gc.mean(x * x), x)}),
        gc.compile([], updates={a: a * 2}),
    ):
        model = json.loads(page(step, tmp_path).scripts["model"])
        assert model["graphs"][0]["nodes"]
    feeds = {"x": np.ones((2, 10), "f")}
    model = json.loads(page(gc.compile([gc.exp(x)]), tmp_path, feeds).scripts["model"])
    assert model["values"]["loss"] is None


def test_the_readmes_page(python_mode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    first, *others = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in (first, *(each for each in others if "to_html" in each)):
        exec(compile(block, "train.py", "exec"), names)
    model = json.loads(Page(tmp_path / "step.html").scripts["model"])
    assert model["values"]["loss"] is not None


# ---- in a notebook --------------------------------------------------------------------------------------------------


def texts_of(picture: str) -> list[str]:
    root = ElementTree.fromstring(picture)
    assert not [each for each in root.iter() if each.tag.endswith(("script", "image", "use"))]
    return [str(each.text) for each in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_notebook_shows_a_picture_or_a_text(python_mode) -> None:
    step = scalar()
    shown = step._repr_mimebundle_()
    assert shown["text/plain"] == str(step)
    texts = texts_of(shown["image/svg+xml"])
    assert {"x", "input f64", "%0  multiply", "f64", "%3  abs"} <= set(texts)


def test_a_node_stands_below_what_it_reads(python_mode) -> None:
    root = ElementTree.fromstring(svg_of(train()._passed["graph"]))
    boxes = list(root.iter("{http://www.w3.org/2000/svg}rect"))[1:]
    titles = [str(each.text) for each in root.iter("{http://www.w3.org/2000/svg}text")][::2]
    top = {title: float(box.attrib["y"]) for title, box in zip(titles, boxes, strict=False)}
    order = [next(title for title in top if title.endswith(end)) for end in ("  dot", "  relu", "  softmax", "  mean")]
    assert top["x"] < top[order[0]]
    assert sorted(order, key=top.__getitem__) == order
    for path in root.iter("{http://www.w3.org/2000/svg}path"):
        numbers = [float(each) for each in re.findall(r"-?\d+", path.attrib["d"])]
        assert numbers[1] < numbers[-1], "edges go down"
        assert numbers[-1] - numbers[1] < 40, "from one row to the next"
    spans = sorted((float(b.attrib["y"]), float(b.attrib["x"]), float(b.attrib["width"])) for b in boxes)
    for (y, x, width), (other_y, other_x, _) in pairwise(spans):
        assert y < other_y or x + width < other_x, "no two boxes overlap"


def test_a_large_graph_is_drawn_as_layers_and_says_so(python_mode) -> None:
    texts = texts_of(svg_of(deep()._passed["graph"]))
    assert {"layer0", "layer29", "out"} <= set(texts)
    assert any("nodes, drawn as 33 layers" in text for text in texts), "30, out, and the lines of inputs, checks"


def test_a_notebooks_picture_shows_hostile_names_as_text(python_mode) -> None:
    texts = texts_of(svg_of(hostile()._passed["graph"]))
    assert any(text.startswith("'</script><script>") for text in texts)
