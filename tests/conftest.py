"""Fixtures that every test file may use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numba
import numpy as np
import pytest

from graphc import config

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite the golden texts; read the diff before you commit"
    )


@pytest.fixture(scope="session", autouse=True)
def cache_of_this_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees what another run, or the user, has compiled."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240)


@pytest.fixture(params=["jit", "python"])
def either_mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs the test twice: emitted code compiled by Numba, and run as the Python that it is."""
    monkeypatch.setattr(numba.config, "DISABLE_JIT", request.param == "python")
    return str(request.param)


@pytest.fixture
def jit_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emitted code is compiled, whatever the environment says: for what only native code has."""
    monkeypatch.setattr(numba.config, "DISABLE_JIT", False)


@pytest.fixture
def python_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emitted code runs as Python: no compile time, the same text."""
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops are fused and tiled as usual, whatever the environment says: for what is about their form."""
    monkeypatch.setattr(config, "FUSION", True)
    monkeypatch.setattr(config, "SMALL_TILES", False)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)` compares with tests/golden/<name>.txt, which --update-golden rewrites."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
        assert path.exists(), f"{path} is missing; read this and run with --update-golden:\n{text}"
        assert text + "\n" == path.read_text(encoding="utf-8")

    return compare
