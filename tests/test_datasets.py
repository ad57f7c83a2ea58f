"""IDX files that the tests make, a server on loopback, and no other network."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import io
import os
import re
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc import datasets

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx(array: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    """The bytes of an IDX file; with a shape that is a lie, if one is given."""
    shape = array.shape if shape is None else shape
    code = CODES[array.dtype.str[1:]]
    return (
        struct.pack(f">HBB{len(shape)}I", 0, code, len(shape), *shape)
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


# ---- reading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", CODES)
def test_an_idx_file_is_read(dtype: str, packed: bool, tmp_path: Path, rng) -> None:
    for shape in [(2, 3, 4), (5,), (0, 3), ()]:
        array = rng.integers(0, 100, shape).astype(dtype)
        content = idx(array)
        path = tmp_path / "file"
        path.write_bytes(gzip.compress(content) if packed else content)
        got = gc.datasets.read_idx(path)
        np.testing.assert_array_equal(got, array)
        assert (got.dtype, got.shape, got.flags.writeable) == (np.dtype(dtype), shape, True)


ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
GOOD = idx(ARRAY)
PACKED = gzip.compress(GOOD, mtime=0)
DAMAGED = {
    "nothing": (b"", "it is no IDX file: it begins with the bytes of nothing"),
    "a page": (b"<html>not found</html>", "it is no IDX file: it begins with the bytes 3c 68 74 6d"),
    "three bytes": (GOOD[:3], "it is no IDX file"),
    "a dtype's code": (b"\0\0\x0a" + GOOD[3:], "it is no IDX file"),
    "a cut header": (GOOD[:10], "it ends in the middle of its header"),
    "a cut end": (GOOD[:-1], r"its header says 24 bytes for an array of shape \(2, 3, 4\), and there are 23"),
    "a byte too much": (GOOD + b"\0", "its header says 24 bytes .*, and there are more"),
    "a lying header": (
        idx(ARRAY, (2**32 - 1,) * 3),
        r"its header says 79,228,162,458,924,105,385,300,197,375 bytes .*, and there are 24",
    ),
    "large and empty": (
        idx(ARRAY[:0], (0, 2**32 - 1, 2**32 - 1, 2**32 - 1)),
        "it has an array of shape .0, 4294967295",
    ),
    "many axes": (idx(ARRAY, (1,) * 255)[: 4 + 4 * 255] + b"\0", "it has an array of shape"),
    "packed, cut": (PACKED[:-9], "its gzip data are damaged: Compressed file ended before"),
    "packed, changed": (PACKED[:25] + bytes([PACKED[25] ^ 8]) + PACKED[26:], "its gzip data are damaged"),
    "packed, checksum": (PACKED[:-8] + b"\0" * 4 + PACKED[-4:], "its gzip data are damaged: CRC check failed"),
    "packed, more behind": (PACKED + b"more", "its gzip data are damaged: Not a gzipped file"),
    "packed, of no IDX": (gzip.compress(b"hello"), "it is no IDX file"),
    "packed, lying": (
        gzip.compress(idx(ARRAY, (2**31, 2**31))),
        "its header says 4,611,686,018,427,387,904 bytes .* there are 24",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_refused(case: str, tmp_path: Path) -> None:
    content, message = DAMAGED[case]
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(gc.FileFormatError, match=f"(?s){path}: {message}"):
        gc.datasets.read_idx(path)


def test_every_cut_and_every_changed_byte_of_a_header_is_found_or_harmless() -> None:
    for whole in (GOOD, PACKED):
        for length in range(len(whole)):
            with pytest.raises(gc.FileFormatError):
                datasets._unpacked(io.BytesIO(whole[:length]), None)
    for at in range(16):
        for value in range(256):
            with contextlib.suppress(gc.FileFormatError):
                spoilt = io.BytesIO(GOOD[:at] + bytes([value]) + GOOD[at + 1 :])
                assert datasets._unpacked(spoilt, None).nbytes == 24  # the dtype's code may be the other one of a byte


def test_a_missing_file_is_pythons_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        gc.datasets.read_idx(tmp_path / "nowhere")


# ---- a data set of few images ---------------------------------------------------------------------------------------


@dataclasses.dataclass
class Small:
    """Four small files in place of MNIST's, and what they hold."""

    arrays: list[np.ndarray]
    contents: dict[str, bytes]
    dataset: datasets.Dataset

    def write(self, folder: Path, packed: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.contents.items():
            path = folder / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(content) if packed else content)

    def check(self, loaded: object) -> None:
        (images, labels), (test_images, test_labels) = loaded  # type: ignore[misc]
        for got, expected in zip((images, labels, test_images, test_labels), self.arrays, strict=True):
            np.testing.assert_array_equal(got, expected)
            assert got.dtype == np.uint8


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rng) -> Small:
    """`mnist` reads these files, keeps them below tmp_path, and knows no server."""
    shapes = [(6, 28, 28), (6,), (2, 28, 28), (2,)]
    arrays = [rng.integers(0, 10, shape, dtype=np.uint8) for shape in shapes]
    contents = {real.name: idx(array) for real, array in zip(datasets.MNIST.files, arrays, strict=True)}
    files = [
        datasets.File(name, a.shape, hashlib.sha256(contents[name]).hexdigest()) for name, a in zip(contents, arrays)
    ]
    made = Small(arrays, contents, datasets.Dataset("mnist", (), tuple(files)))  # type: ignore[arg-type]
    monkeypatch.setattr(datasets, "MNIST", made.dataset)
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    return made


FIRST = "train-images-idx3-ubyte"


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_that_the_user_names(small: Small, packed: bool, tmp_path: Path) -> None:
    small.write(tmp_path / "mine", packed)
    small.check(gc.datasets.mnist(tmp_path / "mine"))
    small.check(gc.datasets.mnist(folder=str(tmp_path / "mine")))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("packed", [False, True])
def test_files_that_were_put_into_the_cache(small: Small, packed: bool, tmp_path: Path) -> None:
    small.write(tmp_path / "cache" / "datasets" / "mnist", packed)
    small.check(gc.datasets.mnist())


def test_a_folder_without_the_files_says_which_and_what_to_do(small: Small, tmp_path: Path) -> None:
    with pytest.raises(gc.FileFormatError) as caught:
        gc.datasets.mnist(tmp_path / "none")
    assert str(caught.value).startswith(f"{tmp_path / 'none'} has no {', '.join(small.contents)}\n  put {FIRST}.gz, ")
    small.write(tmp_path, True)
    (tmp_path / f"{FIRST}.gz").unlink()
    with pytest.raises(gc.FileFormatError, match=rf"has no {FIRST}\n  put {FIRST}.gz into {tmp_path}, from .*folder="):
        gc.datasets.mnist(tmp_path)


def changed(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


WRONG = {
    "another file": (changed, "it is another file: its SHA-256 is [0-9a-f]{64}, not [0-9a-f]{64}"),
    "another shape": (
        lambda content: idx(np.zeros((6, 28, 27), "u1")),
        r"shape \(6, 28, 27\), uint8, not of \(6, 28, 28\)",
    ),
    "another dtype": (lambda content: idx(np.zeros((6, 28, 28), "i2")), r"shape \(6, 28, 28\), int16, not of"),
    "a cut file": (lambda content: content[:-7], "its header says 4,704 bytes .* there are 4,697"),
    "no IDX": (lambda content: b"<html>", "it is no IDX file"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_names_itself_the_fact_and_the_remedy(
    case: str, packed: bool, small: Small, tmp_path: Path
) -> None:
    spoil, message = WRONG[case]
    small.contents[FIRST] = spoil(small.contents[FIRST])
    name = f"{FIRST}.gz" if packed else FIRST
    small.write(tmp_path / "mine", packed)
    with pytest.raises(gc.FileFormatError, match=rf"(?s)mine/{name}: .*{message}.*\n  remove it; put {FIRST}.gz into "):
        gc.datasets.mnist(tmp_path / "mine")
    small.write(tmp_path / "cache" / "datasets" / "mnist", packed)
    with pytest.raises(
        gc.FileFormatError, match=rf"(?s){name}: .*{message}.*remove it; the next call downloads it again"
    ):
        gc.datasets.mnist()


class Endless:
    """What a server might send for ever, and how much of it was read."""

    def __init__(self, start: bytes, piece: bytes) -> None:
        self.start, self.piece, self.read_so_far = start, piece, 0

    def read(self, size: int) -> bytes:
        self.read_so_far += size
        start, self.start = self.start[:size], self.start[size:]
        return start + (self.piece * (1 + size // len(self.piece)))[: size - len(start)]


def test_no_more_is_unpacked_than_the_array_has() -> None:
    """A bomb: a header that is right, and more behind it than a machine has memory for."""
    wanted = datasets.File("bomb", (6, 28, 28), "0" * 64)
    for start, message in [(idx(np.zeros((6, 28, 28), "u1"))[:16], "there are more"), (GOOD[:16], "not of")]:
        stream = Endless(start, bytes(1000))
        with pytest.raises(gc.FileFormatError, match=message):
            datasets._array(stream, wanted)  # type: ignore[arg-type]
        assert stream.read_so_far <= 16 + 6 * 28 * 28 + 1


def test_a_small_file_that_unpacks_to_much_takes_no_memory(small: Small, tmp_path: Path) -> None:
    """A quarter of a gigabyte in a megabyte, in a process that may take less."""
    packing = zlib.compressobj(1, wbits=31)
    zeros = bytes(1 << 24)
    header = small.contents[FIRST][:16]
    bomb = packing.compress(header) + b"".join(packing.compress(zeros) for _ in range(16)) + packing.flush()
    (tmp_path / FIRST).write_bytes(bomb)
    script = (
        "import resource, sys, graphc as gc; from graphc import datasets; from pathlib import Path\n"
        "wanted = datasets.File('bomb', (6, 28, 28), '')\n"
        "pages = int(open('/proc/self/statm').read().split()[0]) if sys.platform == 'linux' else 0\n"
        "limit = pages * resource.getpagesize() + (100 << 20)\n"
        "if pages: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "try: datasets._read(Path(sys.argv[1]), wanted)\n"
        "except gc.FileFormatError as error: print('refused' if 'there are more' in str(error) else error)\n"
    )
    made = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / FIRST)], capture_output=True, text=True, check=False
    )
    assert (made.stdout, made.stderr) == ("refused\n", "")


# ---- downloading ----------------------------------------------------------------------------------------------------


Answer = Callable[[BaseHTTPRequestHandler, str], None]


@contextlib.contextmanager
def serving(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback: its address, and the names that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rsplit("/", 1)[-1]
            asked.append(name)
            answer(self, name)

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", asked
        finally:
            server.shutdown()
            thread.join()


def sends(content: Callable[[str], bytes], told: int | None = None, status: int = 200) -> Answer:
    """Answers with `content(name)`, and says that it has so many bytes."""

    def answer(handler: BaseHTTPRequestHandler, name: str) -> None:
        body = content(name)
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if told is None else told))
        handler.end_headers()
        with contextlib.suppress(ConnectionError):  # a client that has enough hangs up
            handler.wfile.write(body)

    return answer


def hangs_up(handler: BaseHTTPRequestHandler, name: str) -> None:
    handler.close_connection = True


def babbles(handler: BaseHTTPRequestHandler, name: str) -> None:
    handler.wfile.write(b"hello\r\n\r\n")


def packed_of(small: Small) -> Callable[[str], bytes]:
    return lambda name: gzip.compress(small.contents[name.removesuffix(".gz")])


def mirrored(small: Small, monkeypatch: pytest.MonkeyPatch, *mirrors: str) -> None:
    monkeypatch.setattr(datasets, "MNIST", dataclasses.replace(small.dataset, mirrors=mirrors))


def test_files_are_downloaded_once_and_kept(small: Small, monkeypatch, tmp_path: Path, capsys) -> None:
    old = os.umask(0o002)  # as where each user has a group: a folder that others may write to is no cache
    try:
        with serving(sends(packed_of(small))) as (address, asked):
            mirrored(small, monkeypatch, address)
            small.check(gc.datasets.mnist())
            small.check(gc.datasets.mnist())
            names = [f"{file.name}.gz" for file in small.dataset.files]
            assert asked == names
            assert capsys.readouterr().err == "".join(f"graphc: downloading {address}{name}\n" for name in names)
            kept = tmp_path / "cache" / "datasets" / "mnist"
            assert sorted(path.name for path in kept.iterdir()) == sorted(names)
            assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
            (kept / names[2]).unlink()
            small.check(gc.datasets.mnist())
            assert asked == [*names, names[2]]
    finally:
        os.umask(old)


FAULTS = {
    "another file": (lambda small: sends(lambda name: gzip.compress(changed(small.contents[name[:-3]]))), "SHA-256 is"),
    "a cut download": (
        lambda small: sends(lambda name: packed_of(small)(name)[:-20], told=5000),
        "(?i)incomplete|damaged",
    ),
    "a cut end": (lambda small: sends(lambda name: packed_of(small)(name)[:-20]), "its gzip data are damaged"),
    "no such file": (lambda small: sends(lambda name: b"gone", status=404), "HTTP Error 404"),
    "an error of the server": (lambda small: sends(lambda name: b"", status=500), "HTTP Error 500"),
    "a page": (lambda small: sends(lambda name: b"<html>log in</html>"), "it is no IDX file"),
    "too much": (
        lambda small: sends(lambda name: bytes(100_000)),
        "it is longer than 8,847 bytes, which would be enough",
    ),
    "a server that hangs up": (lambda small: hangs_up, "(?i)closed connection|reset"),
    "a server of something else": (lambda small: babbles, "hello"),
    "no network": (lambda small: None, "refused"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_download_that_fails_leaves_nothing_and_says_what_to_do(
    case: str, small: Small, monkeypatch, tmp_path
) -> None:
    answer, message = FAULTS[case][0](small), FAULTS[case][1]
    with serving(answer or hangs_up) as (address, asked):
        silent = address
        if answer is not None:
            mirrored(small, monkeypatch, address)
            message_of_it = refused(tmp_path)
            assert asked == [f"{FIRST}.gz"]
    if answer is None:  # nobody listens there any more
        mirrored(small, monkeypatch, silent)
        message_of_it = refused(tmp_path)
    first, told, *rest = message_of_it.split("\n")
    assert first == f"{FIRST}.gz could not be downloaded:"
    assert told.startswith(f"    {silent}{FIRST}.gz: ")
    assert re.search(message, told)
    place = tmp_path / "cache" / "datasets" / "mnist"
    assert rest[-1].startswith(
        f"  without a network, make the folder {place}; put {FIRST}.gz, train-labels-idx1-ubyte.gz, "
    )
    assert f"from {silent}; or name a folder" in rest[-1]


def refused(tmp_path: Path) -> str:
    """What mnist() says; it has kept nothing."""
    with pytest.raises(gc.FileFormatError) as caught:
        gc.datasets.mnist()
    assert not list((tmp_path / "cache").rglob("*idx*"))
    return str(caught.value)


def test_the_next_server_is_asked(small: Small, monkeypatch) -> None:
    with (
        serving(sends(lambda name: b"", status=503)) as (bad, tried),
        serving(sends(packed_of(small))) as (good, asked),
    ):
        mirrored(small, monkeypatch, bad, good)
        small.check(gc.datasets.mnist())
        assert tried == asked == [f"{name}.gz" for name in small.contents]


def test_what_was_downloaded_before_a_fault_is_kept(small: Small, monkeypatch) -> None:
    def twice(handler: BaseHTTPRequestHandler, name: str) -> None:
        sends(packed_of(small) if len(asked) <= 2 or len(asked) > 3 else lambda name: b"")(handler, name)

    with serving(twice) as (address, asked):
        mirrored(small, monkeypatch, address)
        with pytest.raises(gc.FileFormatError, match=r"t10k-images-idx3-ubyte\.gz could not"):
            gc.datasets.mnist()
        small.check(gc.datasets.mnist())
        assert len(asked) == 5


def test_a_cut_write_leaves_the_folder_as_it_was(small: Small, monkeypatch, tmp_path: Path) -> None:
    def full(*args: object) -> None:
        raise OSError("no space left")

    with serving(sends(packed_of(small))) as (address, _):
        mirrored(small, monkeypatch, address)
        with monkeypatch.context() as without_space:
            without_space.setattr(os, "replace", full)
            with pytest.raises(OSError, match="no space left"):
                gc.datasets.mnist()
        assert not list((tmp_path / "cache" / "datasets" / "mnist").iterdir())
        small.check(gc.datasets.mnist())


def test_without_a_cache_a_folder_is_wanted(small: Small, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_DIR", "")
    with pytest.raises(gc.InputError, match="GRAPHC_CACHE_DIR is empty, so nothing is kept; name a folder"):
        gc.datasets.mnist()
    small.write(tmp_path, True)
    small.check(gc.datasets.mnist(tmp_path))


def test_the_tables() -> None:
    """Four files each, of the sizes that the data sets are known for, and eight sums that differ."""
    sums = set()
    for dataset in (datasets.MNIST, datasets.FASHION_MNIST):
        assert callable(getattr(gc.datasets, dataset.name))
        assert all(address.startswith("http") and address.endswith("/") for address in dataset.mirrors)
        assert [file.shape for file in dataset.files] == [(60000, 28, 28), (60000,), (10000, 28, 28), (10000,)]
        sums |= {file.sha256 for file in dataset.files}
    assert len(sums) == 8
    assert all(len(each) == 64 and set(each) <= set("0123456789abcdef") for each in sums)


def test_nothing_is_imported_that_only_downloads_need() -> None:
    script = "import sys, graphc; print([name for name in ('urllib.request', 'http.client') if name in sys.modules])"
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert made.stdout == "[]\n"
