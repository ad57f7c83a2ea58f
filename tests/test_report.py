"""f.report(): its facts beside facts worked out by hand, its reasons beside graphs that are made to have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from models import batch, classifier

import graphc as gc
from graphc import config
from graphc.function import Function
from graphc.report import Price, Remark, Report, bytes_text, formula, lines_text, seconds_text
from graphc.runtime import threads
from graphc.sizes import Dim, Size, evaluate

n = Size.symbol("n")


def train(**options: object) -> Function:
    return gc.compile(classifier().loss, optimizer=gc.SGD(lr=0.1), name="digits", **options)


def texts(remarks: Sequence[Remark]) -> dict[str, list[str]]:
    """What is said of each name."""
    found: dict[str, list[str]] = {}
    for remark in remarks:
        found.setdefault(remark.name, []).append(remark.text)
    return found


def tiles(size: Dim) -> Dim:
    return (size + 31) // 32


# ---- the two-layer classifier, by hand ------------------------------------------------------------------------------


def test_the_kernels_of_a_classifier(python_mode, fused: None) -> None:
    b = Size.symbol("batch")
    report = train().report()
    traffic = {each.name: (each.region, each.product, each.reads, each.writes) for each in report.kernels}
    assert traffic["k0"] == (None, False, 8 * b, 0), "labels"
    assert traffic["%6"] == ("r0", True, 4 * 64 * b + 4 * 64 * 32, 4 * 32 * b)
    assert traffic["k1"] == ("r0", False, 4 * 32 * b + 4 * 32, 4 * 32 * b)
    # Logits and labels; exp is written and read again; the bias; a sum for each tile.
    k2_reads = 4 * 10 * b + 8 * b + 4 * 10 * b + 4 * 10 + 4 * 10 * tiles(b)
    k2_writes = 2 * 4 * 10 * b + 4 * 10 * tiles(b) + 8 * tiles(b)
    assert traffic["k2"] == ("r0", False, k2_reads, k2_writes)
    assert traffic["%52"] == ("r1", True, 4 * (64 * b + 32 * b + 64 * 32), 4 * 64 * 32), "reads W1 too: it adds"
    assert traffic["k7"] == (None, False, 2 * 4 * 10, 4 * 10)
    (k1,) = (each for each in report.kernels if each.name == "k1")
    assert (k1.ops, k1.lines) == (("add", "relu"), ("models.py:30",))
    assert k1.price.at(batch=64) == pytest.approx(64 * 32 * 5 * 0.25e-9), "two loads, two ops, a store"
    assert len(report.kernels) == 14


def test_what_is_fused_in_a_classifier(python_mode, fused: None) -> None:
    found = texts(train().report().fused)
    assert found["k1"] == ["2 values in one pass over batch, 1 of them stored: they need each other only row by row"]
    assert found["r0"] == [
        "%6, k1, %9, k2, %46, k3 on 32 rows of batch at a time: each row needs only its own row of those before"
    ]
    assert found["%10 add"] == ["computed in 3 places: that costs less than to store it"]


def test_what_is_separate_in_a_classifier(python_mode, fused: None) -> None:
    found = texts(train().report().separate)
    for name, why in {
        "%6 dot": "is a matrix product",
        "%8 relu": "is read by BLAS",
        "%15 exp": "costs as much as 24 additions and is read 2 times",  # a subtraction, an addition; exp counts 20
        "%38 sum": "is a reduction",
    }.items():
        assert found[name][0].startswith("stored: it ")
        assert found[name][0].endswith(why) or name == "%15 exp"
    assert found["k1"] == ["own loops: they wait for %6, a matrix product"]
    assert found["k4"] == ["own loops: they put together what the tiles have reduced"]
    assert found["k7"] == [
        "own loops: they wait for the check that the loss is finite",
        "no region: its 10 rows fit in one tile",
    ]
    assert found["k8"][0] == "own loops: they run over 32; the last loops that touch what they read run over batch"
    assert found["r1"] == ["own region: it must follow a check that stands after the region before"]


def test_a_region_of_one_tile_is_not_shared(python_mode, fused: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of 32 rows are over the limit, but they are one tile, which one thread runs."""
    monkeypatch.setenv("GRAPHC_NUM_THREADS", "2")
    x, W = gc.input("x", ("batch", 256)), gc.param("W", (256, 512))
    region = gc.compile(gc.tanh(gc.tanh(x) @ W)).report().threads.regions[0]
    assert region.price.at(batch=32) > 10e-6
    assert region.shared_from == 33
    assert region.text == "shared from batch = 33 on: more than one tile"


def test_a_price_a_region_and_its_threads(python_mode, fused: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second region is 64 * 32 * batch multiplications of 1/32 ns: more than 10 µs from 157 rows on."""
    monkeypatch.setenv("GRAPHC_NUM_THREADS", "2")
    report = train().report()
    assert (report.threads.count, report.threads.why) == (2, "GRAPHC_NUM_THREADS is 2")
    first, second = report.threads.regions
    assert second.price.at(batch=100) == pytest.approx(64 * 32 * 100 / 32e9)
    assert second.price.at(batch=156) <= 10e-6 < second.price.at(batch=157)
    assert (second.shared_from, second.tiles) == (157, 2)
    assert second.text == "shared from batch = 157 on: more than 10 µs"
    assert str(second.price) == "64 ns * batch"
    assert first.tiles == tiles(Size.symbol("batch"))


# ---- small graphs that are made to have a reason --------------------------------------------------------------------


def test_a_chain_of_cheap_ops_is_one_loop_and_no_memory(python_mode, fused: None) -> None:
    x = gc.input("x", ("n", 10))
    report = gc.compile(gc.tanh(x * 2 + 1)).report()
    (kernel,) = report.kernels
    assert kernel.ops == ("multiply", "add", "tanh")
    assert (kernel.reads, kernel.writes, report.memory, report.buffers) == (40 * n, 40 * n, 0, ())
    assert texts(report.fused)["k0"][0].startswith("3 values in one pass over n, 1 of them stored")
    assert not [remark for remark in report.separate if remark.text.startswith("stored")]


def test_softmax_is_one_pass_over_the_rows(python_mode, fused: None) -> None:
    x = gc.input("x", ("n", 10))
    report = gc.compile(gc.softmax(x)).report()
    (kernel,) = report.kernels
    assert kernel.ops[0] == "max"
    assert kernel.ops[-1] == "divide"
    assert (kernel.reads, kernel.writes) == (80 * n, 80 * n), "x and exp are read; exp and the result are written"
    assert [(slot.name, slot.size) for slot in report.buffers] == [("m0", 40 * n)]
    (stored,) = (remark for remark in report.separate if remark.text.startswith("stored"))
    assert stored.name.endswith(" exp")
    assert stored.text.endswith("additions and is read 2 times")


def test_what_needs_a_whole_sum_first_is_a_loop_of_its_own(python_mode, fused: None) -> None:
    x = gc.input("x", ("n", 10))
    report = gc.compile(gc.tanh(gc.exp(x)) + gc.sum(gc.exp(x))).report()
    found = texts(report.separate)
    assert found["k2"] == ["own loops: they need all that the loops before them make"]
    assert found["r1"] == ["own region: it must follow what the region before reduces over all tiles"]


def test_the_first_reason_is_the_nodes_own(python_mode, fused: None) -> None:
    x, W = gc.input("x", ("n", 20)), gc.param("W", (20, 20))
    report = gc.compile(x @ W @ W).report()
    (stored,) = (remark for remark in report.separate if remark.text.startswith("stored"))
    assert stored.text == "stored: it is a matrix product", "it is read by BLAS, too"


def test_regions_of_other_tiles(python_mode, fused: None) -> None:
    """A large matrix is multiplied by columns, what follows runs by rows."""
    x, W = gc.input("x", ("n", 400)), gc.param("W", (400, 300))
    found = texts(gc.compile(gc.tanh(x @ W)).report().separate)
    assert found["r1"] == ["own region: its tiles are of n, those of the region before of 300"]


def test_a_running_sum_is_in_no_region(python_mode, fused: None) -> None:
    x = gc.input("x", ("n",))
    found = texts(gc.compile(gc.cumsum(x)).report().separate)
    assert found["k0"] == ["no region: each row needs what the one before makes"]


def test_pieces_are_loops_of_their_own(python_mode, fused: None) -> None:
    x = gc.input("x", ("n",))
    found = texts(gc.compile(gc.concatenate([x, x * 2])).report().separate)
    assert found["k1"][0] == "own loops: they write a piece of output 0"


def test_what_something_larger_reads_is_stored(python_mode, fused: None) -> None:
    x, z = gc.input("x", ("n",)), gc.input("z", ("m", "n"))
    found = texts(gc.compile(gc.exp(x) * z).report().separate)
    (stored,) = (text for texts_of in found.values() for text in texts_of if text.startswith("stored"))
    assert stored == "stored: it costs as much as 20 additions and is read by something larger"


def test_bytes_of_slices_and_of_rows_that_data_choose(python_mode, fused: None) -> None:
    x, at = gc.input("x", ("n", 10)), gc.input("at", (3,), "int64")
    (kernel,) = gc.compile(x[:, 2:5] * 2, name="slice").report().kernels
    assert (kernel.reads, kernel.writes) == (4 * 3 * n, 4 * 3 * n)
    (kernel,) = gc.compile(x[:, 1:] - x[:, :-1]).report().kernels
    assert (kernel.reads, kernel.writes) == (4 * 10 * n, 4 * 9 * n), "each element once"
    kernel = gc.compile(gc.take(gc.input("table", (50, 7)), at, axis=0), inputs=None).report().kernels[-1]
    assert (kernel.reads, kernel.writes) == (4 * 21 + 8 * 3, 4 * 21)


def test_bytes_of_tiles_that_choose_by_data(python_mode, fused: None) -> None:
    x, y = gc.input("x", ("n", 1000)), gc.input("y", ("n",), "int64")
    (kernel, *_) = (
        each for each in gc.compile(gc.tanh(gc.exp(gc.tanh(gc.exp(gc.pick(x, y)))))).report().kernels if each.region
    )
    assert (kernel.reads, kernel.writes) == (4 * n + 8 * n, 4 * n)


# ---- updates --------------------------------------------------------------------------------------------------------


def told_of_updates(function: Function) -> dict[str, tuple[bool, str]]:
    return {each.param: (each.folded, each.text) for each in function.report().updates}


def test_updates_of_a_classifier(python_mode, fused: None) -> None:
    found = told_of_updates(train())
    assert found["W1"] == (True, "in the product %52: BLAS adds to W1 itself")
    assert found["b1"] == (False, "in k8: its next value is no matrix product, nor one added to something")


def test_what_a_product_adds_to_is_written_first(python_mode, fused: None) -> None:
    optimizer = gc.SGD(lr=0.1, momentum=0.9, weight_decay=1e-4)
    found = told_of_updates(gc.compile(classifier().loss, optimizer=optimizer))
    folded, text = found["W1.velocity"]
    assert folded
    assert text.endswith(": BLAS adds to W1.velocity itself")
    assert found["W1"][0] is False


def test_momentum_is_in_the_product_of_the_velocity(python_mode, fused: None) -> None:
    found = told_of_updates(gc.compile(classifier().loss, optimizer=gc.SGD(lr=0.1, momentum=0.9)))
    assert found["W1.velocity"][0]
    assert found["W1"][1].endswith(": its product already makes the next value of another param")


def test_one_product_for_two_params(python_mode, fused: None) -> None:
    A, W, V = gc.param("A", (64, 64)), gc.param("W", (64, 64)), gc.param("V", (64, 64))
    product = A @ A
    found = told_of_updates(gc.compile([], updates={W: product, V: product}))
    assert found["W"][0]
    assert found["V"] == (False, "in k0: its product already makes the next value of another param")


def test_updates_that_cannot_be_products(python_mode, fused: None) -> None:
    W, x = gc.param("W", (64, 64)), gc.input("x", ("n", 64))
    (square,) = told_of_updates(gc.compile([], updates={W: W + W @ W})).values()
    assert square == (False, "in k0: the product reads the memory that it would overwrite")
    shared = x.T @ x
    (twice,) = told_of_updates(gc.compile(shared, updates={W: W - shared})).values()
    assert twice[0] is False
    (plain,) = told_of_updates(gc.compile([], updates={W: x.T @ x})).values()
    assert plain[0] is True
    assert plain[1].endswith("BLAS writes W itself")
    a, b = gc.param("a", 100), gc.param("b", 100)
    found = told_of_updates(gc.compile([], updates={a: b + 1, b: a + 1}))
    assert sorted(text.partition(": ")[2] for _, text in found.values()) == [
        "its next value is no matrix product, nor one added to something",
        "its old value is still needed when the next one is made",
    ]


# ---- memory ---------------------------------------------------------------------------------------------------------


def test_memory_is_what_f_memory_says(python_mode) -> None:
    m = gc.input("m", ("rows", "columns"))
    products = gc.compile([gc.softmax(m @ m.T), gc.mean(m[1:] * m[:-1])])
    for step in (train(), products):
        memory = step.report().memory
        for size in (1, 2, 31, 32, 33, 100, 1000):
            sizes = dict.fromkeys(step._plan.program.sizes, size)
            assert evaluate(memory, sizes) == step.memory(**sizes)


def test_every_buffer_has_a_slot(python_mode, fused: None) -> None:
    report = train().report()
    held = {name for slot in report.buffers for name in slot.buffers}
    assert {"%6", "%8", "%15", "%37", "%38.tiles"} <= held
    (shared,) = (slot for slot in report.buffers if "%6" in slot.buffers)
    assert shared.buffers == ("%6", "%8"), "relu overwrites what it is computed from"
    assert shared.size == 4 * 32 * Size.symbol("batch")
    assert "\nmemory: about " in str(report)


# ---- the cache and the time -----------------------------------------------------------------------------------------


def test_a_hit_and_a_miss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jit_mode) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "cache"))
    x = gc.input("x", ("n", 3))
    first, second = (gc.compile(gc.sum(x * 5)).report() for _ in range(2))
    assert first.cache == "miss: never compiled here, or with another version, CPU or setting"
    assert second.cache == "hit"
    assert "; cache hit\n" in str(second)
    assert second.stages["build"] < first.stages["build"], "loaded, not compiled"
    monkeypatch.setenv("GRAPHC_CACHE_DIR", "")
    assert gc.compile(gc.sum(x * 5)).report().cache == "off: GRAPHC_CACHE_DIR is empty"


def test_without_the_jit_there_is_no_cache(python_mode) -> None:
    report = train().report()
    assert report.cache == "none: NUMBA_DISABLE_JIT is set"
    passes = ["differentiate", "simplify", "fold", "fuse", "tile", "plan", "emit", "build"]
    assert list(report.stages) == ["graph", *passes]
    assert all(seconds > 0 for seconds in report.stages.values())


# ---- threads --------------------------------------------------------------------------------------------------------


def threads_of(bound: int | None = None) -> tuple[int, str]:
    told = gc.compile(gc.sum(gc.input("x", ("n",))), threads=bound).report().threads
    return told.count, told.why


def test_why_so_many_threads(monkeypatch: pytest.MonkeyPatch, python_mode) -> None:
    monkeypatch.setenv("GRAPHC_NUM_THREADS", "3")
    assert threads_of() == threads_of(5) == threads_of(3) == (3, "GRAPHC_NUM_THREADS is 3")
    assert threads_of(2) == (2, "threads=2")
    monkeypatch.setenv("GRAPHC_NUM_THREADS", "1")
    assert threads_of() == threads_of(1) == (1, "GRAPHC_NUM_THREADS is 1")
    monkeypatch.delenv("GRAPHC_NUM_THREADS")
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    monkeypatch.setattr(threads, "_share_of_cgroup", lambda _: 8)
    assert threads_of() == (3, "the CPUs that the process may run on")
    monkeypatch.setattr(threads, "_share_of_cgroup", lambda _: 2)
    assert threads_of() == (2, "the cgroup's cpu.max")
    monkeypatch.setattr(threads, "single_threaded", lambda: False)
    assert threads_of()[0] == 1
    assert threads_of()[1].startswith("SciPy has no OpenBLAS of its own here")


def test_when_a_region_is_shared(monkeypatch: pytest.MonkeyPatch, python_mode, fused: None) -> None:
    def of(shape: tuple[int | str, ...], bound: int | None = None) -> tuple[int | None, str]:
        step = gc.compile(gc.tanh(gc.input("x", shape)), threads=bound)
        (region,) = step.report().threads.regions
        return region.shared_from, region.text

    monkeypatch.setenv("GRAPHC_NUM_THREADS", "2")
    assert of((200, 100)) == (0, "always shared: more than 10 µs")
    assert of((100, 10)) == (None, "never shared: no more than 10 µs")
    assert of(("n", "m")) == (None, "shared where that is more than 10 µs")
    assert of(("n", 100), 1) == (None, "one thread runs all tiles")
    monkeypatch.setattr(config, "SMALL_TILES", True)
    assert of(("n", 100)) == (0, "always shared: GRAPHC_SMALL_TILES is set")


# ---- switches, and the page -----------------------------------------------------------------------------------------


def test_without_fusion_each_says_so(monkeypatch: pytest.MonkeyPatch, python_mode) -> None:
    monkeypatch.setattr(config, "FUSION", False)
    x = gc.input("x", ("n",))
    report = gc.compile(gc.tanh(x * 2 + 1)).report()
    stored = [remark.text for remark in report.separate if remark.text.startswith("stored")]
    assert stored == ["stored: it has loops of its own, since GRAPHC_FUSION is 0"] * 2
    assert not [remark for remark in report.fused if remark.name == "k0"]


def test_names_are_those_of_the_source(python_mode) -> None:
    """In all modes: each loop nest is a function, each product a line, and each is told of."""
    step = train()
    report = step.report()
    for kernel in report.kernels:
        told = f"  # {kernel.name} = " if kernel.product else f"def {kernel.name}("
        assert told in step.source or f"  # {kernel.name}: " in step.source
        assert kernel.ops
        assert kernel.lines
    for region in report.threads.regions:
        assert f"def {region.name}(" in step.source
    assert [update.param for update in report.updates] == ["W1", "b1", "W2", "b2"]


def test_equal_kernels_are_told_of_one_by_one(python_mode, fused: None) -> None:
    """The source has one function for both; where it is called for the second, that one's name stands beside it."""
    x, z = gc.input("x", ("n", 40)), gc.input("z", ("n", 40))
    step = gc.compile([gc.tanh(x), gc.tanh(z)])
    first, second = (kernel for kernel in step.report().kernels if not kernel.product)
    assert f"def {first.name}(" in step.source
    assert f"def {second.name}(" not in step.source
    assert f"  # {second.name}: " in step.source
    assert (first.reads, first.writes, first.ops) == (second.reads, second.writes, second.ops)


def test_the_page(python_mode, fused: None) -> None:
    report = train().report()
    assert isinstance(report, Report)
    lines = str(report).splitlines()
    assert lines[0] == "digits: 64 nodes -> 9 kernels, 5 matrix products, 2 regions"
    assert 30 <= len(lines) <= 62
    assert max(map(len, lines)) <= 160
    assert str(report).isprintable() or all(line.isprintable() for line in lines), "no colour codes"
    for heading in ("fused", "separate", "updates", "memory", "threads"):
        assert any(line.startswith(heading) for line in lines)


def test_a_step_of_a_single_statement_has_a_page(python_mode) -> None:
    a = gc.param("a", 1.0)
    report = gc.compile(a + 1, updates={a: a * 2}).report()
    assert (report.kernels, report.memory) == ((), 0)
    assert report.updates[0].text.startswith("in the step itself: ")
    assert "\nmemory: none\n" in str(report)


def test_a_report_takes_no_step(rng, python_mode) -> None:
    step = train()
    before = [param.value.copy() for param in step.params]
    str(step.report())
    for param, value in zip(step.params, before, strict=True):
        np.testing.assert_array_equal(param.value, value)
    assert np.isfinite(step(*batch(rng, 5)))


# ---- how numbers and lines are written ------------------------------------------------------------------------------


def test_sizes_and_times_as_people_write_them() -> None:
    assert [bytes_text(value) for value in (0, 40, 999, 4700, 330_000, 2.5e9)] == [
        *("0 B", "40 B", "999 B", "4.7 kB", "330 kB", "2.5 GB")
    ]
    assert [seconds_text(value) for value in (3e-10, 1.5e-6, 0.0123, 2)] == ["0.3 ns", "1.5 µs", "12.3 ms", "2 s"]
    assert formula(4700 * n + 330_000, bytes_text) == "330 kB + 4.7 kB * n"
    assert formula(8 * n - 16, bytes_text) == "- 16 B + 8 B * n"
    assert formula(0, bytes_text) == "0 B"
    assert formula(320 * tiles(n), bytes_text) == "310 B + 10 B * n", "at most as much"
    assert formula(n * n * 2, bytes_text) == "2 B * n * n"
    assert str(Price(6400 * n)) == "100 ns * n"


def test_lines_that_follow_each_other_are_one() -> None:
    assert lines_text(["a.py:8", "a.py:9", "a.py:10", "a.py:12", "b.py:1"]) == "a.py:8-10, 12, b.py:1"
    assert lines_text(["a.py:1", "a.py:3", "a.py:5", "a.py:7"]) == "a.py:1, 3, 5 and 1 more"
    assert lines_text([]) == ""
