"""Ways to damage a safetensors file: seeded mutations, and headers that lie."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any


def packed(header: Any, data: bytes = b"") -> bytes:
    """A file with this header: bytes as they are, else as JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def unpacked(content: bytes) -> tuple[Any, bytes]:
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The file with one to four changes: bytes, bits, pieces, digits, the end."""
    made = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        rng.choice(CHANGES)(made, rng)
    return bytes(made)


def _header_end(made: bytearray) -> int:
    return min(len(made), 8 + int.from_bytes(made[:8], "little"))


def _bit(made: bytearray, rng: random.Random) -> None:
    if made:
        made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)


def _byte_of_header(made: bytearray, rng: random.Random) -> None:
    if made:
        made[rng.randrange(max(1, _header_end(made)))] = rng.choice(b'\x00\xff"{}[],:\\ 0123456789eE-.ntf\x80')


def _digit(made: bytearray, rng: random.Random) -> None:
    digits = [at for at in range(8, _header_end(made)) if 48 <= made[at] < 58]
    if digits:
        at = rng.choice(digits)
        made[at : at + 1] = str(rng.choice([rng.randrange(10), 2**31, 2**63, 2**64 - 1, 10**30])).encode()


def _cut(made: bytearray, rng: random.Random) -> None:
    del made[rng.randrange(len(made) + 1) :]


def _remove(made: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(made) + 1)
    del made[at : at + rng.randrange(1, 40)]


def _repeat(made: bytearray, rng: random.Random) -> None:
    at, into = rng.randrange(len(made) + 1), rng.randrange(len(made) + 1)
    made[into:into] = made[at : at + rng.randrange(1, 120)]


def _length(made: bytearray, rng: random.Random) -> None:
    length = rng.choice([0, 1, len(made) - 8, len(made), 2**31, 2**32, 2**63, 2**64 - 1, rng.randrange(2000)])
    made[:8] = max(0, length).to_bytes(8, "little")


def _longer(made: bytearray, rng: random.Random) -> None:
    made += rng.randbytes(rng.randrange(1, 100))


CHANGES = (_bit, _byte_of_header, _digit, _cut, _remove, _repeat, _length, _longer)


def crafted(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Headers that lie, by what they lie about. The file has an array "w" of float32 (4, 6)."""
    header, data = unpacked(content)
    entry = header["w"]
    begin, end = entry["data_offsets"]

    def changed(**changes: Any) -> bytes:
        return packed({**header, "w": {**entry, **changes}}, data)

    yield "nothing", b""
    yield "a few bytes", b"1234567"
    yield "no header", bytes(8)
    yield "zeros", bytes(1000)
    yield "text", b"PK\x03\x04" * 100
    for length in (2**63, 2**64 - 1, 10**8, len(content)):
        yield f"a header of {length}", length.to_bytes(8, "little") + content[8:]
    for shape in ([6, 4], [24], [4, 6, 1], [2**62, 4], [2**40], [-4, -6], [4.0, 6], ["4", 6], [0], 24, None, [[4, 6]]):
        yield f"shape {shape}", changed(shape=shape)
    yield "100 axes", changed(shape=[1] * 100 + [24])
    for code in ("F64", "BF16", "F16", "F8_E4M3", "F8_E5M2", "F4", "I32", "C64", "float32", "", None, 3):
        yield f"dtype {code}", changed(dtype=code)
    for offsets in ([begin + 4, end], [begin, end + 4], [begin, 2**62], [-1, end], [end, begin], [begin], [0, 96], {}):
        yield f"offsets {offsets}", changed(data_offsets=offsets)
    yield "an array less", packed({name: each for name, each in header.items() if name != "w"}, data)
    yield (
        "an empty array more",
        packed({**header, "more": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}, data),
    )
    yield "no metadata", packed({name: each for name, each in header.items() if name != "__metadata__"}, data)
    yield "metadata of numbers", packed({**header, "__metadata__": {"graphc": 3}}, data)
    yield "metadata of lists", packed({**header, "__metadata__": []}, data)
    yield "bytes behind the arrays", packed(header, data + b"x")
    yield "bytes that are missing", packed(header, data[:-1])
    overlap = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    yield "a name that is no line", packed({**header, "a\n\x1b[31m\u202e" + "b" * 9999: overlap}, data)
    text = json.dumps(header).encode()
    twice = b'"w": ' + json.dumps(entry).encode()
    yield "a name twice", packed(text[:-1] + b", " + twice + b"}", data)
    yield "a field twice", packed(text.replace(b'"dtype"', b'"dtype": "F32", "dtype"', 1), data)
    yield "metadata twice", packed(b'{"__metadata__": {}, ' + text[1:], data)
    yield "not UTF-8", packed(text.replace(b'"w"', b'"\xff"'), data)
    yield "half a surrogate", packed(text.replace(b'"w"', b'"\\ud800"'), data)
    yield "NaN", packed(text.replace(b"[4, 6]", b"[NaN, 6]"), data)
    yield "a long number", packed(text.replace(b"[4, 6]", b"[" + b"9" * 5000 + b", 6]"), data)
    yield "a list", packed(b"[]", data)
    yield "a deep list", packed(b"[" * 200_000, data)
    yield "a header that is too long", packed(text[:-1] + b', "x": [' + b"{}," * 1_500_000 + b"{}]}", data)
    yield "a deep field", packed(text[:-1] + b', "x": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}", data)
