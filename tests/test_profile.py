"""f.profile(): its counts beside counts by hand, its seconds beside stamps made by hand, and nothing has changed."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from models import batch, classifier
from rich.console import Console

import graphc as gc
from graphc.function import Function
from graphc.inspect import peaks, twin as twins
from graphc.inspect.flop import operations
from graphc.inspect.profile import Event, Profile, ProfileRow
from graphc.inspect.profiling import Shares, _timeline
from graphc.inspect.twin import Times
from graphc.sizes import evaluate

X, Y = batch(np.random.default_rng(1), 64)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps, and peaks that nobody waits for; what is measured is not what is tested."""
    monkeypatch.setattr(twins, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(twins, "LEAST_STEPS", 3)
    monkeypatch.setattr(peaks, "COPIED", 1 << 20)


def train(**options: object) -> Function:
    return gc.compile(classifier().loss, optimizer=gc.SGD(lr=0.1, momentum=0.9), name="digits", **options)


def rows_of(profile: Profile) -> dict[str, ProfileRow]:
    return {row.name: row for row in profile.rows}


# ---- counts ---------------------------------------------------------------------------------------------------------


def test_the_counts_of_a_chain(python_mode, fused: None) -> None:
    """A multiplication, an addition and a tanh for each of 7 * 10 elements of 4 bytes, read once and written once."""
    x = gc.input("x", ("n", 10))
    first, *others = gc.compile(gc.tanh(x * 2 + 1)).profile(np.ones((7, 10), "f")).rows
    assert (first.name, first.ops) == ("k0", ("multiply", "add", "tanh"))
    assert (first.flop, first.bytes) == (3 * 70, 2 * 4 * 70)
    assert [row.name for row in others] == ["the clocks", "the rest"]


def test_the_counts_of_products(python_mode, fused: None) -> None:
    x, W = gc.input("x", ("n", 6)), gc.param("W", (6, 5))
    row = gc.compile(x @ W).profile(np.ones((7, 6), "f")).rows[0]
    assert (row.flop, row.bytes, row.calls) == (2 * 7 * 6 * 5, 4 * (7 * 6 + 6 * 5 + 7 * 5), 1)
    a, b = gc.input("a", ("n", 2, 3), "float64"), gc.input("b", ("n", 3, 4), "float64")
    profile = gc.compile(a @ b).profile(np.ones((5, 2, 3)), np.ones((5, 3, 4)))
    row = profile.rows[0]
    assert profile.peak_dtype == "float64"
    assert (row.flop, row.bytes) == (5 * 2 * 2 * 3 * 4, 5 * 8 * (2 * 3 + 3 * 4 + 2 * 4))


def test_the_counts_of_a_classifier(either_mode, fused: None) -> None:
    rows = rows_of(train().profile(X, Y))
    assert rows["k1"].flop == 64 * 32, "an addition; the choice of relu is none"
    # The largest: add, max. The sum: add, subtract, exp, add. The loss: log, add, add, subtract, add. The gradient:
    # divide, subtract, multiply, and an addition to the bias's.
    assert rows["k2"].flop == 64 * (10 * 2 + 10 * 4 + 5 + 10 * 4)
    assert rows["%6"].flop == 2 * 64 * 64 * 32
    assert rows["k4"].flop == 2 * 10, "the bias's gradients of two tiles are added to zeros"
    assert rows["k0"].flop == 0, "labels are integers"
    assert (rows["%6"].calls, rows["k2"].calls, rows["k4"].calls) == (2, 2, 1)


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("a + b * c", 2),
        ("-a", 1),
        ("f32(-np.inf)", 0),
        ("f32(-1.5)", 0),
        ("exp(a - b)", 2),
        ("f32(1) / f32(a)", 1),
        ("fold_add(acc, f64(a))", 1),
        ("f32(0) if a <= 0 else a", 0),
        ("f32(0) if a == 0 and b == b else a * log(b)", 2),
        ("a ** b", 1),
    ],
)
def test_operations_of_an_expression(code: str, count: int) -> None:
    assert operations(code) == count


def test_rows_are_those_of_the_report(either_mode) -> None:
    f = train()
    profile, kernels = f.profile(X, Y), f.report().kernels
    told = [(row.name, row.region, row.ops, row.lines) for row in profile.rows[:-2]]
    assert told == [(each.name, each.region, each.ops, each.lines) for each in kernels]
    assert profile.sizes == {"batch": 64}
    for row, record in zip(profile.rows, kernels, strict=False):
        assert row.bytes == sum(evaluate(each, {"batch": 64}) for each in (record.reads, record.writes))


# ---- seconds --------------------------------------------------------------------------------------------------------


def test_shares_add_up(either_mode) -> None:
    profile = train().profile(X, Y)
    assert sum(row.share for row in profile.rows) == pytest.approx(1)
    assert sum(row.seconds for row in profile.rows) == pytest.approx(profile.seconds_per_step)
    assert all(row.seconds >= 0 for row in profile.rows)
    assert profile.steps == 3
    assert profile.plain_seconds_per_step > 0
    for row in profile.rows:
        timed = row.seconds > 0  # some are too short for the clock
        assert row.seconds * row.flop_per_second == pytest.approx(row.flop * timed)
        assert row.seconds * row.bytes_per_second == pytest.approx(row.bytes * timed)


NANO = 1e-9


def made(stamps: list[tuple[int, int, int, int]], cost: float, whole: int) -> tuple[twins.Twin, Times]:
    """A twin of four parts, a product and a kernel in a region, and a kernel; and stamps: part, thread, from, to."""
    x, W = gc.input("x", ("n", 64)), gc.param("W", (64, 64))
    twin = gc.compile(gc.sum(gc.tanh(x @ W)), threads=2)._twin
    words = np.zeros((1, len(stamps), twins.WORDS), np.int64)
    for at, (_, thread, start, stop) in enumerate(stamps):
        words[0, at, :4] = start, thread, stop, thread
    counts = [sum(part == each[0] for each in stamps) for part in range(len(twin.parts))]
    first = tuple(int(at) for at in np.cumsum([0, *counts]))
    one = np.array([whole * NANO])
    return twin, Times(one, one, np.array([1000]), 7, words, first, cost)


STAMPS = [
    *((0, 8, 1100, 1150), (0, 7, 1100, 1150)),  # %0, two tiles; 7 is the caller
    *((1, 7, 1160, 1310), (1, 8, 1160, 1310)),  # k0
    (2, 7, 1050, 1350),  # the region
    (3, 7, 1400, 1440),  # k1, which puts the tiles together
]


def test_a_region_shares_its_time_out(python_mode, fused: None) -> None:
    """300 ns for tiles that took 100 and 300 together on two threads: a quarter and three quarters."""
    twin, times = made(STAMPS, 0.0, 500)
    assert [type(part.item).__name__ for part in twin.parts] == ["Gemm", "Kernel", "Region", "Kernel"]
    shares = Shares(twin, times)
    seconds = [shares.seconds.get(part.item) for part in twin.parts]
    assert seconds == [pytest.approx(75 * NANO), pytest.approx(225 * NANO), None, pytest.approx(40 * NANO)]
    assert (shares.clocks, shares.rest) == (0, pytest.approx(160 * NANO))


def test_the_clocks_are_a_row_of_their_own(python_mode, fused: None) -> None:
    """A stamp of 10 ns: each time between two of them has 10 ns less, and there are eight others in the region."""
    twin, times = made(STAMPS, 10.0, 500)
    shares = Shares(twin, times)
    busy = 2 * 40 + 2 * 140 + 4 * 20
    seconds = [shares.seconds.get(part.item) for part in twin.parts]
    assert seconds[0] == pytest.approx(290 * 80 / busy * NANO)
    assert seconds[1] == pytest.approx(290 * 280 / busy * NANO)
    assert seconds[3] == pytest.approx(30 * NANO)
    assert shares.clocks == pytest.approx((290 * 80 / busy + 2 * 20) * NANO)
    assert sum(each for each in seconds if each is not None) + shares.clocks + shares.rest == pytest.approx(500 * NANO)


def test_the_clocks_never_take_more_than_there_is(python_mode, fused: None) -> None:
    """Four stamps of 49 ns and a region of 251: more than the step took."""
    shares = Shares(*made(STAMPS, 49.0, 440))
    assert shares.rest == 0
    assert sum(shares.seconds.values()) + shares.clocks == pytest.approx(440 * NANO)


def test_the_timeline_has_a_track_for_each_thread(python_mode, fused: None) -> None:
    twin, times = made(STAMPS, 10.0, 500)
    names = {part.item: f"part {at}" for at, part in enumerate(twin.parts)}
    step, *events = _timeline(twin, times, names)
    assert step == Event("step", "step", 0, 0.0, pytest.approx(500 * NANO))
    told = [(each.name, each.kind, each.thread, round(each.start / NANO), each.tile) for each in events]
    assert told == [
        *(("part 0", "kernel", 1, 100, 0), ("part 0", "kernel", 0, 100, 1)),
        *(("part 1", "kernel", 0, 160, 0), ("part 1", "kernel", 1, 160, 1)),
        *(("r0", "region", 0, 50, None), ("part 3", "kernel", 0, 400, None)),
    ]


def test_a_stamp_tells_time_and_thread(either_mode) -> None:
    cost = twins.stamp_cost()
    assert 0 < cost < 1e6
    f = train()
    f.profile(X, Y)
    times = twins.measured(f._twin, f._code, 1, [X, Y], {"batch": 64})
    assert set(times.stamps[:, :, twins.THREAD].ravel().tolist()) == {threading.get_ident()}
    started, stopped = times.stamps[:, :, twins.STARTED], times.stamps[:, :, twins.STOPPED]
    assert (times.began[:, None] <= started).all()
    assert (started <= stopped).all()
    assert (stopped <= times.began[:, None] + 1e9 * times.whole[:, None]).all()


# ---- what must not change -------------------------------------------------------------------------------------------


def net() -> tuple[Function, list[gc.Param]]:
    """With momentum, a counter of steps for dropout, and a second result."""
    x, y = gc.input("x", ("batch", 64)), gc.input("y", ("batch",), "int64")
    hidden = gc.nn.dropout(gc.nn.dense(x, 32, activation="relu", name="hidden"), 0.5)
    z = gc.nn.dense(hidden, 10, name="out")
    f = gc.compile([gc.softmax_cross_entropy(z, y), gc.softmax(z)], optimizer=gc.SGD(lr=0.1, momentum=0.9))
    return f, [node for node in f._graph.params if isinstance(node, gc.Param)]


def test_a_profile_changes_nothing(either_mode) -> None:
    f, params = net()
    f(X, Y)
    before = [param.value.copy() for param in params]
    assert any("velocity" in str(param.name) for param in params)
    assert any(param.dtype == np.int64 for param in params), "the counter of dropout"
    table, scalars = f._table.copy(), f._scalars.copy()
    f.profile(X, Y)
    assert all(np.array_equal(param.value, old) for param, old in zip(params, before, strict=True))
    assert np.array_equal(f._table, table)
    assert np.array_equal(f._scalars, scalars)
    next_ones = [f(X, Y) for _ in range(3)]
    for param, old in zip(params, before, strict=True):
        param.value = old
    for loss, probabilities in next_ones:
        again = f(X, Y)
        assert again[0] == loss
        assert np.array_equal(again[1], probabilities)


def test_each_step_begins_with_the_present_params(python_mode) -> None:
    """One step of 1 would make the loss infinite after a few; a profile repeats the first."""
    x, w = gc.input("x", ("n",), "float64"), gc.param("w", np.array(1e60))
    f = gc.compile(gc.sum(x * w * w), optimizer=gc.SGD(lr=1e50))
    profile = f.profile(np.ones(3))
    assert profile.steps == 3
    assert w.value == 1e60


def test_the_step_has_no_clocks(python_mode) -> None:
    """The twin is the step's text and stamps, two for each kernel, product and region."""
    f = train()
    source = f.source
    f.profile(X, Y)
    assert "stamp" not in f.source
    assert f.source == source == f.stages["emit"]
    lines = [line for line in f._twin.source.splitlines() if "stamp" not in line]
    assert lines == source.splitlines()
    stamps = [line.strip() for line in f._twin.source.splitlines() if line.strip().startswith("stamp(")]
    assert len(stamps) == 2 * (len(f.report().kernels) + len(f.report().threads.regions))
    assert len(set(stamps)) == len(stamps)


# ---- calls ----------------------------------------------------------------------------------------------------------


def test_arrays_by_name_lists_and_other_dtypes(python_mode) -> None:
    f = train()
    assert f.profile(y=Y, x=X).sizes == {"batch": 64}
    assert f.profile(X[:2].tolist(), y=Y[:2].astype("uint8")).sizes == {"batch": 2}
    twin = f._twin
    f.profile(X, Y)
    assert f._twin is twin, "compiled once"


def test_results_in_a_dict_and_several_sizes(either_mode) -> None:
    a, b = gc.input("a", ("n", "m"), "float64"), gc.input("b", ("m", "k"), "float64")
    f = gc.compile({"product": a @ b, "total": gc.sum(a)})
    profile = f.profile(b=np.ones((4, 5)), a=np.ones((3, 4)))
    assert profile.sizes == {"n": 3, "m": 4, "k": 5}
    assert max(row.flop for row in profile.rows) == 2 * 3 * 4 * 5


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((X,), {}),
        ((X, Y, Y), {}),
        ((X,), {"z": Y}),
        ((X[:, :5], Y), {}),
        ((X[:7], Y), {}),
        ((X.astype("complex64"), Y), {}),
        ((X, np.where(np.arange(64) == 5, 10, Y)), {}),
        ((X * np.float32(np.nan), Y), {}),
    ],
)
def test_what_a_call_refuses_a_profile_refuses_with_the_same_words(python_mode, args, kwargs) -> None:
    f = train()
    before = [param.value.copy() for param in f.params]
    with pytest.raises(gc.GraphcError) as of_call:
        f(*args, **kwargs)
    with pytest.raises(type(of_call.value)) as of_profile:
        f.profile(*args, **kwargs)
    assert str(of_profile.value) == str(of_call.value)
    assert all(np.array_equal(param.value, old) for param, old in zip(f.params, before, strict=True))


def test_several_threads(jit_mode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which thread runs a tile is chance; what each tile leaves is not."""
    monkeypatch.setenv("GRAPHC_NUM_THREADS", "2")
    x, y = batch(np.random.default_rng(2), 1000)
    f = train()
    assert f.threads == 2
    profile = f.profile(x, y)
    assert profile.threads == 2
    assert {each.thread for each in profile.timeline} <= {0, 1}
    for row in profile.rows[:-2]:
        own = [each.tile for each in profile.timeline if each.name == row.name]
        assert own == (list(range(row.calls)) if row.region else [None])
    check_nesting(profile.timeline)


def test_a_profile_in_many_threads(jit_mode) -> None:
    """Each has memory of its own, so they do not disturb each other, nor those that call the function."""
    f, told = train(), []
    twin = f._twin

    def work() -> None:
        told.append(f.profile(X, Y))

    workers = [threading.Thread(target=work) for _ in range(3)]
    for each in workers:
        each.start()
    losses = [f(X, Y) for _ in range(50)]
    for each in workers:
        each.join()
    other = train()
    assert losses == [other(X, Y) for _ in range(50)]
    assert len(told) == 3
    assert f._twin is twin


def check_nesting(events: tuple[Event, ...]) -> None:
    """On one thread, of two events that overlap one holds the other."""
    for thread in {each.thread for each in events}:
        own = [(round(each.start * 1e9), round((each.start + each.seconds) * 1e9)) for each in events]
        own = [span for span, each in zip(own, events, strict=True) if each.thread == thread]
        open_spans: list[int] = []
        for start, stop in sorted(own, key=lambda span: (span[0], -span[1])):
            while open_spans and open_spans[-1] <= start:
                open_spans.pop()
            assert not open_spans or stop <= open_spans[-1]
            open_spans.append(stop)


def test_nothing_to_do(either_mode) -> None:
    """No rows at all: no tiles, or loops of no trips."""
    x, W = gc.input("x", ("n", 64)), gc.param("W", (64, 64))
    profile = gc.compile(gc.tanh(x @ W)).profile(np.ones((0, 64), "f"))
    assert sum(row.share for row in profile.rows) == pytest.approx(1)
    assert sum(row.flop for row in profile.rows) == 0
    assert "total" in str(profile)


# ---- what it shows of a real step ------------------------------------------------------------------------------------


def test_python_is_not_passed_off_as_machine_code(either_mode) -> None:
    profile = train().profile(X, Y)
    assert profile.interpreted == (either_mode == "python")
    assert ("this is the time of Python" in str(profile)) == profile.interpreted


def test_the_trace_of_a_step(either_mode, tmp_path: Path) -> None:
    f = train()
    profile = f.profile(X, Y)
    profile.to_chrome_trace(tmp_path / "trace.json")
    events = [e for e in json.loads((tmp_path / "trace.json").read_text())["traceEvents"] if e["ph"] == "X"]
    assert {each["name"] for each in events if each["cat"] == "kernel"} == {each.name for each in f.report().kernels}
    assert all(type(each[key]) in (int, float) for each in events for key in ("ts", "dur", "pid", "tid"))
    whole = events[0]["dur"]
    assert all(each["ts"] >= 0 and round(1e3 * (each["ts"] + each["dur"])) <= round(1e3 * whole) for each in events)
    check_nesting(profile.timeline)


HOSTILE = 'a</script>"\n\x1b[31m$\\q$ [bold]\u202e'


def test_hostile_names_are_data(python_mode, tmp_path: Path) -> None:
    x = gc.input(HOSTILE, ("n", 3))
    W = gc.param(f"W{HOSTILE}", (3, 2))
    f = gc.compile(gc.sum(x @ W), optimizer=gc.SGD(lr=0.1), name=f"k0{HOSTILE}")
    profile = f.profile(np.ones((2, 3), "f"))
    for text in (str(profile), "\n".join(text.get_text() for text in drawn_texts(profile))):
        assert not {"\x1b", "\u202e"} & set(text)
    console = Console(file=io.StringIO(), width=300)
    console.print(profile)
    assert "[bold]" in console.file.getvalue(), "no markup"
    profile.to_chrome_trace(tmp_path / "trace.json")
    process, _, step, *events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert process["args"]["name"] == step["name"] == f"k0{HOSTILE}"
    assert (step["cat"], step["args"]) == ("step", {})
    assert {event["cat"] for event in events} <= {"kernel", "region"}


def drawn_texts(profile: Profile) -> list:
    axes = profile.plot(Figure().subplots())
    FigureCanvasAgg(axes.figure).draw()
    return [axes.title, *axes.get_yticklabels()]


# ---- peaks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_peaks_are_of_products_and_copies_that_are_right(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[np.ndarray] = []

    def kept(array: np.ndarray) -> np.ndarray:
        made.append(aligned(array))
        return made[-1]

    aligned = peaks.aligned
    monkeypatch.setattr(peaks, "aligned", kept)
    monkeypatch.setattr(peaks, "SIDE", 64)
    assert peaks.peak_flops.__wrapped__(2, dtype) > 0
    assert len(made) == 6
    for a, b, out in (made[:3], made[3:]):
        assert (a == 0.5).all()
        assert (b == 0.5).all()
        assert (out == 64 * 0.25).all(), "each thread has multiplied"
    assert peaks.peak_bytes.__wrapped__(2) > 0


def test_peaks_are_measured_once() -> None:
    assert peaks.peak_flops(1, "float32") == peaks.peak_flops(1, "float32")
    assert peaks.peak_bytes(1) == peaks.peak_bytes(1)
