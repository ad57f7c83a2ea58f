"""A graph's text is read back as the same graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import batch, classifier
from test_ops import CASES, LEAVES

import graphc as gc
from graphc.fuzz.check import passed
from graphc.fuzz.generate import generate
from graphc.fuzz.recipe import build
from graphc.graph import Graph, is_numbered, lines_of
from graphc.passes import GRAPH_PASSES
from graphc.reference import run
from graphc.request import graph_of

GOLDEN = Path(__file__).parent / "golden" / "digits"
STAGES = ["graph", *(change.__name__ for change in GRAPH_PASSES)]


def stages_of(graph: Graph) -> list[Graph]:
    """The graph, and what each pass makes of it."""
    graphs = [graph]
    for change in GRAPH_PASSES:
        graphs.append(change(graphs[-1]))
    return graphs


def values_of(graph: Graph, feeds: dict[str, Any]) -> list[np.ndarray]:
    """The outputs, the params' next values and the guards, in the interpreter."""
    wanted = [*graph.outputs, *(value for _, value in graph.updates), *(guard.condition for guard in graph.guards)]
    return run([*wanted, *graph.inputs], feeds)[: len(wanted)]


def assert_reads_back(graph: Graph, feeds: dict[str, Any]) -> None:
    """The text is the same, and so are all values, bit for bit (NaN is NaN)."""
    text = str(graph)
    read = gc.parse(text)
    assert str(read) == text
    given = {str(param.name): param.value for param in graph.params}
    for found, expected in zip(values_of(read, {**given, **feeds}), values_of(graph, feeds), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    assert not set(read.nodes) & {node for node in graph.nodes if node.name}, "inputs and params are new"


# ---- whole graphs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", [gc.SGD(0.1), gc.SGD(0.1, momentum=0.9, weight_decay=1e-4)], ids=["sgd", "heavy"])
def test_a_training_step_at_every_stage(dtype: str, optimizer: gc.Optimizer, rng: np.random.Generator) -> None:
    x, y = batch(rng, 5, dtype=dtype)
    for graph in stages_of(graph_of(classifier(dtype=dtype).loss, optimizer=optimizer, name="digits")):
        assert_reads_back(graph, {"x": x, "y": y})


@pytest.mark.parametrize("number", range(len(STAGES)), ids=STAGES)
def test_the_golden_texts(number: int) -> None:
    """What a newcomer reads in tests/golden is what parse reads; no graph of this process helps it."""
    text = (GOLDEN / f"{number}-{STAGES[number]}.txt").read_text(encoding="utf-8").rstrip("\n")
    assert str(gc.parse(text)) == text


def test_every_op(rng: np.random.Generator) -> None:
    """Each case of test_ops.py, and its gradient, which has constants of many values."""
    seen = set()
    for case in CASES:
        arrays = case.arrays(rng, "float32")
        params, node = case.node(arrays)
        outputs = [node]
        if node.type.floating:
            loss = gc.sum(node * rng.normal(size=node.shape).astype(node.dtype))
            outputs += gc.grad(loss, [param for param in params if param.type.floating])
        for graph in (graph_of(outputs), stages_of(graph_of(outputs))[-1]):
            assert_reads_back(graph, {})
            seen |= {each.op.name for each in graph.nodes}
    assert seen >= {case.op.name for case in CASES} - LEAVES - {"matmul"} | {"const"}


@pytest.mark.parametrize("first", range(0, 200, 25))
def test_random_graphs(first: int) -> None:
    for number in range(first, first + 25):
        built = build(generate(20, number))
        first_graph, *others = passed(built)
        assert_reads_back(first_graph, built.recipe.feeds(0))
        assert_reads_back(others[-1], built.recipe.feeds(0))


def test_symbolic_sizes() -> None:
    x = gc.input("x", ("batch", "time"))
    pieces = [x[::2], x[1:-1, ::3], gc.concatenate([x, x[:3]]), gc.reshape(x, -1), gc.flip(x), gc.mean(x)]
    graph = graph_of([*pieces, gc.max(x), *(gc.grad(gc.sum(each * each), x) for each in pieces)])
    text = str(graph)
    assert "((batch+1)//2)" in text
    assert "batch*time" in text
    assert "  need batch-3 >= 0  # " in text
    for each in stages_of(graph):
        assert_reads_back(each, {"x": np.arange(35, dtype="f").reshape(7, 5)})
    assert gc.parse(text).needs == graph.needs


def test_sizes_that_are_called_like_something_else() -> None:
    x = gc.input("x", ("nan", "float32", "inf"))
    graph = graph_of([gc.reshape(x, -1), gc.mean(x), gc.sum(gc.astype(x, "float64")), gc.ones(("inf", 2)) + x[0, 0, 0]])
    assert_reads_back(graph, {"x": np.ones((2, 3, 4), "f")})


def test_what_it_reads_can_be_compiled(rng: np.random.Generator, python_mode: None) -> None:
    """The text of the backward graph is a step like the one that made it."""
    x, y = batch(rng, 6)
    step = gc.compile(classifier().loss, optimizer=gc.SGD(lr=0.5))
    read = gc.parse(step.stages["differentiate"])
    again = gc.compile(list(read.outputs), updates=dict(read.updates), inputs=read.inputs)
    assert [str(param.name) for param in again.params] == [str(param.name) for param in read.params]
    for param in read.params:
        assert not param.value.any(), "the text has no values"
    given = {str(param.name): param for param in (*step.params, step.optimizer.learning_rate.param)}
    for param in read.params:
        param.value = given[str(param.name)].value
    losses = [(step(x, y), again(x, y)[0]) for _ in range(3)]
    assert len(set(losses)) == 3, "it trains"
    np.testing.assert_allclose([a for a, _ in losses], [b for _, b in losses], rtol=1e-6)


def test_a_printed_step_has_a_summary_that_is_no_line(python_mode: None) -> None:
    step = gc.compile(classifier().loss, optimizer=gc.SGD(lr=0.5))
    assert str(gc.parse(f"\n{step}\n\n")) == step.stages["graph"]


# ---- constants ------------------------------------------------------------------------------------------------------

PAYLOAD = np.array([0x7FC00001, 0xFFC00000], np.uint32).view(np.float32)
EDGES: dict[str, list[Any]] = {
    "float32": [0.0, -0.0, 0.1, 1e16, 16777216, 1e-45, 3.4028235e38, -np.inf, np.inf, np.nan, *PAYLOAD],
    "float64": [0.0, -0.0, 0.1, 5e-324, 1.7976931348623157e308, np.inf, -np.inf, np.nan, -np.nan],
    "int64": [0, -1, 2**63 - 1, -(2**63)],
    "int32": [0, -(2**31), 2**31 - 1],
    "uint8": [0, 255],
    "bool": [False, True],
}


@pytest.mark.parametrize("dtype", EDGES)
def test_a_scalar_constant_keeps_its_bits_and_its_dtype(dtype: str) -> None:
    x = gc.input("x", (2,), dtype)
    for value in np.array(EDGES[dtype], dtype):
        graph = graph_of([gc.equal(x, gc.const(value)), gc.where(gc.equal(x, x), gc.const(value), gc.const(value))])
        read = gc.parse(str(graph))
        assert str(read) == str(graph)
        literal = read.outputs[0].args[1].options["literal"]
        assert (literal.dtype, literal.data) == (np.dtype(dtype), value.tobytes())


def test_the_dtype_stands_behind_a_constant_where_it_is_no_usual_one() -> None:
    wanted = {"float32": "0.5", "float64": "0.5:f64", "int64": "3", "int32": "3:i32", "uint8": "3:u8", "bool": "True"}
    for dtype, text in wanted.items():
        value = {"f": 0.5, "b": True}.get(np.dtype(dtype).kind, 3)
        graph = graph_of(gc.less(gc.input("x", (), dtype), gc.const(value, dtype)))
        assert f"less(x, {text}) " in str(graph)


@pytest.mark.parametrize("dtype", EDGES)
@pytest.mark.parametrize("shape", [(0,), (0, 3), (1,), (2, 2), (16,), (17,), (40, 3)], ids=str)
def test_an_array_constant_keeps_its_bits(dtype: str, shape: tuple[int, ...]) -> None:
    edges = np.array(EDGES[dtype], dtype)
    if np.prod(shape) <= 16:
        edges = edges[edges == edges]
    array = np.resize(edges, shape)
    graph = graph_of(gc.stop_gradient(gc.const(array)))
    read = gc.parse(str(graph))
    assert str(read) == str(graph)
    (literal,) = (node.options["literal"] for node in read.nodes if node.op.name == "const")
    assert (literal.dtype, literal.shape, literal.data) == (array.dtype, array.shape, array.tobytes())


def test_few_values_are_numbers_and_many_are_bytes() -> None:
    few, many = gc.const(np.array([[1, 2], [3, 4]])), gc.const(np.zeros(17, "u1"))
    assert "const([1, 2, 3, 4])" in str(graph_of(few + 1))
    assert f"const([hex'{'00' * 17}'])" in str(graph_of(many + many))


def test_a_long_constant_does_not_push_the_types_away() -> None:
    text = str(graph_of(gc.sum(gc.const(np.zeros(1000)) * gc.input("x", (1000,), "float64"))))
    assert max(len(line) for line in text.splitlines() if "const" not in line) < 100


# ---- names and lines ------------------------------------------------------------------------------------------------

HOSTILE = [
    *("a: f32, b", "x\n  return %0", "%0", "0.5", "nan", "inf", "True", "None", "'", '"', "\\", "\\'", "\u202eabc"),
    *(" ", "return", "guard", "need", "graph", "const", "hex", "a#b", "a;b", "a)b", "SGD.lr", "a..b", "1e5", "/"),
    *("\u03b2", "x\u0301", "l\u00b7l", "\u05d0\u05d1"),
    *("\ud800", "\u2028", "axes", "</script>", "f32", "<-", "\x00", "W 1", "a\rb", "'''", "%"),
]


def test_any_name_can_be_read_back() -> None:
    inputs = [gc.input(name, ("n",)) for name in HOSTILE]
    params = [gc.param(f"{name}'p", np.ones((), "f")) for name in HOSTILE]
    updates = {param: param * 2 for param in params}
    graph = graph_of([a * b for a, b in zip(inputs, params, strict=True)], updates=updates, name="a\n(b")
    text = str(graph)
    assert len(text.splitlines()) == 1 + 2 * len(HOSTILE) + 1 + len(HOSTILE), "no name leaves its line"
    assert all(line.isprintable() for line in text.splitlines())
    read = gc.parse(text)
    assert str(read) == text
    assert [node.name for node in read.inputs] == HOSTILE
    assert [param.name for param, _ in read.updates] == [f"{name}'p" for name in HOSTILE]
    assert read.name == "a\n(b"


def test_each_hostile_name_stands_for_itself_as_operand_and_param() -> None:
    for name in HOSTILE:
        graph = graph_of(gc.sin(gc.input(name, ("n",))))
        assert gc.parse(str(graph)).outputs[0].args[0].name == name
        param = gc.param(name, np.ones((), "f"))
        graph = graph_of([], updates={param: param + 1.0})
        assert [each.name for each, _ in gc.parse(str(graph)).updates] == [name]


def test_usual_names_are_plain() -> None:
    leaves = [gc.input(name, ("n",)) for name in ("x", "W1.velocity", "_0", "größe", "returns")]
    assert "'" not in str(graph_of(leaves))


def test_the_users_lines_are_kept() -> None:
    graph = stages_of(graph_of(classifier().loss, optimizer=gc.SGD(0.1)))[-1]
    read = gc.parse(str(graph))
    for one, other in zip(graph.nodes, read.nodes, strict=True):
        assert not is_numbered(one) or lines_of(read)[other] == lines_of(graph)[one]
    assert all(value.origin is None for _, value in read.updates)
    assert read.inputs[0].where.startswith("test_parse.py:"), "a leaf is made where its text is read"


def test_guards_know_what_they_watch() -> None:
    """Those of indices come first, the loss's last; so the numbers are the same again."""
    net = classifier()
    graph = graph_of(net.loss, optimizer=gc.SGD(0.1))
    index, loss = gc.parse(str(graph)).guards
    assert (index.rule, loss.rule) == ("y in range(10)", "the loss is finite")
    assert index.limit is not None
    assert (index.watched.name, index.limit.size, index.limit.from_end) == ("y", 10, False)
    assert loss.limit is None
    assert loss.watched.op.name == "mean"
    x, at = gc.input("x", ("n",)), gc.input("at", 3, "int64")
    (guard,) = gc.parse(str(graph_of(gc.take(x, at)))).guards
    assert guard.limit is not None
    assert (str(guard.limit.size), guard.limit.from_end) == ("n", True)


# ---- what cannot be read --------------------------------------------------------------------------------------------


def test_a_function_of_the_users_is_not_in_the_text() -> None:
    @gc.custom_gradient
    def clipped(x: gc.Node) -> Any:
        return x * 2, lambda g: gc.clip(g, -1.0, 1.0)

    graph = graph_of(clipped(gc.input("x", 3)))
    assert "backward=<lambda>)" in str(graph)
    with pytest.raises(gc.GraphError, match=r"^line 3: backward=<lambda> of custom_gradient cannot be read back"):
        gc.parse(str(graph))


def test_a_function_that_is_called_like_a_size_is_no_size() -> None:
    def n(g: gc.Node) -> gc.Node:
        return g

    graph = graph_of(gc.custom_gradient(lambda x: (x * 2, n))(gc.input("x", "n")))
    with pytest.raises(gc.GraphError, match="backward=n of custom_gradient cannot be read back"):
        gc.parse(str(graph))


GOOD = """\
graph step(x: f32[n,3]; W: f32[3])
  %0 = multiply(x, W)                      : f32[n,3]  # train.py:3
  %1 = sum(%0, axes=(1,), keepdims=False)  : f32[n]    # train.py:4
  %2 = slice(%1, starts=(1,), steps=(1,), sizes=(n-1,)) : f32[n-1]  # train.py:5
  %3 = mean(W, axes=(0,), keepdims=False)  : f32       # train.py:6
  %4 = const([1, 2])                       : i64[2]    # train.py:7
  return %2, %4, 0.5
  W <- W
  guard True  # x in range(3)
  need n-1 >= 0  # a slice  # train.py:5
"""


def test_a_text_by_hand() -> None:
    read = gc.parse(GOOD)
    assert [node.type.dtype.name for node in read.outputs] == ["float32", "int64", "float32"]
    values = run(list(read.outputs), {"x": np.ones((4, 3), "f"), "W": np.array([1, 2, 3], "f")})
    np.testing.assert_array_equal(values[0], [6, 6, 6])
    np.testing.assert_array_equal(values[1], [1, 2])
    assert [node.where for node in toposorted(read) if node.args] == ["train.py:3", "train.py:4", "train.py:5"]
    assert [(str(need.size), need.rule, where) for need, where in read.needs] == [("n-1", "a slice", "train.py:5")]


def toposorted(graph: Graph) -> list[gc.Node]:
    return [node for node in graph.nodes if node.op.name != "const"]


WRONG = [
    ("graph step", "graf step", r"line 1: expected 'graph', got 'graf'"),
    ("step(", "(", r"line 1: expected the name of the graph, got '\('"),
    ("x: f32[n,3]", "x: f16[n,3]", r"line 1: expected a dtype \(f32, f64, i32, i64, u8, bool\), got 'f16'"),
    ("x: f32[n,3]", "x: f32[n,3", r"line 1: expected ',', got ';'"),
    ("W: f32[3])", "x: f32[3])", r"line 1: two leaves are called 'x'"),
    ("W: f32[3])", "W: f32[n])", r"line 1: a param has a fixed size, got W: f32\[n\]"),
    ("W: f32[3])", "W: f32[3]", r"line 1: expected ',', got the end of the line"),
    ("multiply(", "multply(", r"line 2: no op is called 'multply'; did you mean 'multiply'\?"),
    ("multiply(", "param(", r"line 2: no op is called 'param'"),
    ("multiply(x, W)", "multiply(x)", r"line 2: multiply takes 2 operands, got 1"),
    ("multiply(x, W)", "multiply(x W)", r"line 2: expected ',', got 'W'"),
    ("multiply(x, W)", "multiply(x, V)", r"line 2: no input or param is called 'V'"),
    ("multiply(x, W)", "multiply(x, )", r"line 2: multiply takes 2 operands, got 1"),
    ("multiply(x, W)", "multiply(x, 2.0:f64)", r"line 2: multiply does not take these: operands have different dtypes"),
    ("sum(%0", "sum(%7", r"line 3: no line before makes %7"),
    ("%1 = sum", "%0 = sum", r"line 3: a second line makes %0"),
    ("%1 = sum", "%1 sum", r"line 3: expected '=', got 'sum'"),
    ("axes=(1,), keepdims=False", "axes=(1,)", r"line 3: sum does not take these: .*keepdims"),
    ("axes=(1,)", "axes=(1,", r"line 3: expected a number, got ','"),
    ("axes=(1,)", "axes=n", r"line 3: axes=n of sum cannot be read back"),
    (": f32[n]    #", ": f32[m]    #", r"line 3: no input has an axis of size 'm'"),
    (": f32[n]    #", ": f32[n+1]    #", r"line 3: sum makes f32\[n\] of these, the text says f32\[n\+1\]"),
    (": f32[n]    #", "    #", r"line 3: expected ':', got '# train.py:4'"),
    (": f32[n]    #", ": f32[n] more #", r"line 3: expected the end of the line, got 'more'"),
    ("sizes=(n-1,)", "sizes=(n//0,)", r"line 4: a size is divided by 0"),
    ("sizes=(n-1,)", "sizes=(n-,)", r"line 4: expected a size, got ','"),
    ("const([1, 2])", "const([1, 2, 3])", r"line 6: no constant of type i64\[2\]"),
    ("const([1, 2])", "const([1, 99999999999999999999])", r"line 6: no constant of type i64\[2\]"),
    ("const([1, 2])", "const([hex'00'])", r"line 6: no constant of type i64\[2\]"),
    ("const([1, 2])", "const([hex'0g'])", r"line 6: expected hexadecimal digits behind hex"),
    ("const([1, 2])", "const(1, 2)", r"line 6: expected '\[', got '1'"),
    ("return %2, %4, 0.5", "return %2, %4, 1e99", r"line 7: no constant of type f32"),
    ("return %2, %4, 0.5", "return %2 %4", r"line 7: expected ',', got '%4'"),
    ("  return %2, %4, 0.5\n", "", r"the text has no line that begins with `return`"),
    ("  return %2, %4, 0.5\n", "  return %2\n  return %2\n", r"line 8: a second `return`"),
    ("W <- W", "x <- W", r"line 8: no param is called 'x'"),
    ("W <- W", "W <- %0", r"line 8: W is f32\[3\], its next value f32\[n,3\]"),
    ("W <- W", "V < W", r"line 8: expected %n =, return, param <-, guard or need, got 'V'"),
    ("need n-1 >= 0", "need n-1 > 0", r"line 10: expected '>=', got '>'"),
]


@pytest.mark.parametrize(("good", "bad", "message"), WRONG, ids=[bad.strip()[:40] or "nothing" for _, bad, _ in WRONG])
def test_a_malformed_text_says_where_and_what_was_expected(good: str, bad: str, message: str) -> None:
    assert GOOD.count(good) == 1
    with pytest.raises(gc.GraphError, match=f"^{message}"):
        gc.parse(GOOD.replace(good, bad))


def test_an_empty_text() -> None:
    for text in ("", "\n \n", "# a remark"):
        with pytest.raises(gc.GraphError, match="an empty text"):
            gc.parse(text)


def test_any_damaged_text_ends_in_a_graph_error(rng: np.random.Generator) -> None:
    """A character lost, doubled or changed: the text is read, or GraphError says what is wrong with it."""
    text = str(stages_of(graph_of(classifier().loss, optimizer=gc.SGD(0.1)))[1])
    messages: list[str] = []
    for _ in range(300):
        at = int(rng.integers(len(text)))
        damaged = text[:at] + str(rng.choice(["", text[at] * 2, ")", "(", ",", "'", "%", "\\", "0"])) + text[at + 1 :]
        try:
            gc.parse(damaged)
        except gc.GraphError as error:
            messages.append(str(error))
    assert len(messages) > 100
    assert all(message.startswith(("line ", "the text has no line")) for message in messages)
