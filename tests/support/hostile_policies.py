"""Files that somebody might send as a policy: Python and C++ refuse and accept the same ones."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

ABOUT = {
    "format": "ascore.policy",
    "version": "1",
    "ascore": "0.1.0",
    "env": "exchange-v1",
    "obs_scale": "1.0",
    "num_agents": "3",
    "num_actions": "6",
}
SHAPES = {
    "layers.0.weight": [3, 12, 4],
    "layers.0.bias": [3, 4],
    "layers.1.weight": [3, 4, 6],
    "layers.1.bias": [3, 6],
}


def header(
    about: dict[str, Any] | None = None, shapes: dict[str, list[int]] | None = None
) -> dict[str, Any]:
    """The header of a policy for three agents of Exchange."""
    entries: dict[str, Any] = {"__metadata__": {**ABOUT, **(about or {})}}
    at = 0
    for name, shape in (SHAPES if shapes is None else shapes).items():
        size = 4 * int(np.prod(shape))
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    return entries


def data_of(entries: dict[str, Any]) -> bytes:
    """Weights for a header."""
    size = max(entry["data_offsets"][1] for name, entry in entries.items() if name[0] != "_")
    return np.random.default_rng(3).normal(size=size // 4).astype(np.float32).tobytes()


def file(text: str | bytes, data: bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw + data


def whole(entries: dict[str, Any] | None = None) -> bytes:
    entries = entries or header()
    return file(json.dumps(entries), data_of(entries))


def with_number(value: float) -> bytes:
    good = whole()
    return good[:-4] + struct.pack("<f", value)


def accepted() -> Iterator[tuple[str, bytes]]:
    """Unusual ones that are sound."""
    yield "as exported", whole()
    yield (
        "blanks around",
        file(" \n" + json.dumps(header(), indent=2) + "\r\n\t", data_of(header())),
    )
    yield "escapes", whole(header({"note": 'a"\\/\b\f\n\r\té\U0001f600'}))
    yield (
        "not escaped",
        file(json.dumps(header({"note": "é\U0001f600"}), ensure_ascii=False), data_of(header())),
    )
    yield "leading zeros", whole(header({"num_agents": "000000000000000000000003"}))
    for scale in ("1", "1.", ".5", "+5e-1", "3.4028234663852886e38", "1E-30"):
        yield f"scale {scale}", whole(header({"obs_scale": scale}))
    centre = {"layers.0.weight": [1, 12, 36], "layers.0.bias": [1, 36]}
    yield "a centre", whole(header({"num_agents": "2"}, centre))
    yield "data in another order", whole(dict(reversed(header().items())))


def refused() -> Iterator[tuple[str, bytes, str]]:
    """(name, bytes, words that both languages say)"""
    good, entries = whole(), header()
    data, text, bias = data_of(entries), json.dumps(entries), entries["layers.1.bias"]
    # ---- not a whole file
    yield "empty", b"", "0 bytes are too few"
    yield "short", good[:7], "7 bytes are too few"
    yield "header beyond the file", struct.pack("<Q", 2**63) + good[8:], "its header asks for"
    yield (
        "header as long as all",
        struct.pack("<Q", len(good) - 7) + good[8:],
        "its header asks for",
    )
    yield "cut", good[:-4], "lies at"
    yield "trailing bytes", good + b"\0\0\0\0", "bytes follow the last tensor"
    yield "zeros", bytes(4096), "damaged"
    # ---- not JSON
    damaged = {
        "no header": "",
        "a list": "[]",
        "a number": "7",
        "nested lists": "[" * 100_000,
        "nested tables": '{"a":' * 100_000,
        "nested metadata": '{"__metadata__":' + '{"a":' * 100_000,
        "more behind": text + "{}",
        "a comma too many": text[:-1] + ",}",
        "another quote": text.replace('"', "'"),
        "NaN": text.replace('"shape": [3, 4]', '"shape": [3, NaN]'),
        "a fraction": text.replace('"shape": [3, 4]', '"shape": [3, 4.0]'),
        "below zero": text.replace('"shape": [3, 4]', '"shape": [3, -4]'),
        "minus zero": text.replace('"data_offsets": [0,', '"data_offsets": [-0,'),
        "leading zero": text.replace('"shape": [3, 4]', '"shape": [3, 04]'),
        "65 bits": text.replace('"shape": [3, 4]', f'"shape": [3, {2**64}]'),
        "many digits": text.replace('"shape": [3, 4]', f'"shape": [3, {"9" * 10_000}]'),
        "a text as number": text.replace('"shape": [3, 4]', '"shape": [3, "4"]'),
        "true as number": text.replace('"shape": [3, 4]', '"shape": [3, true]'),
        "shape of shapes": text.replace('"shape": [3, 4]', '"shape": [[3, 4]]'),
        "no shape": text.replace('"shape"', '"form"', 1),
        "null": text.replace('"shape": [3, 4]', '"shape": null'),
        "three offsets": text.replace('"data_offsets": [0,', '"data_offsets": [0, 0,'),
        "a key more": text.replace('"dtype"', '"more": [1], "dtype"', 1),
        "a key twice": text.replace('"shape": [3, 4]', '"shape": [3, 4], "shape": [3, 4]'),
        "dtype twice": text.replace('"dtype": "F32"', '"dtype": "", "dtype": "F32"', 1),
        "dtype twice, no shape": json.dumps({"x": {"data_offsets": [0, 4]}}).replace(
            '"data', '"dtype": "", "dtype": "F32", "data'
        ),
        "dtype is a list": text.replace('"dtype": "F32"', '"dtype": ["F32"]', 1),
        "tensor twice": text[:-1] + "," + json.dumps({"layers.1.bias": bias})[1:],
        "metadata twice": '{"__metadata__": {}, ' + text[1:],
        "metadata key twice": text.replace('"env":', '"env": "harvest-v1", "env":'),
        "metadata is a list": '{"__metadata__": []}',
        "metadata holds a number": text.replace('"version": "1"', '"version": 1'),
        "control character": text.replace("exchange", "ex\x01change"),
        "unknown escape": text.replace("exchange", "ex\\xchange"),
        "half a pair": text.replace("exchange", "ex\\ud800change"),
        "the other half": text.replace("exchange", "ex\\udc00change"),
        "half a pair and a letter": text.replace("exchange", "ex\\ud800\\u0041"),
        "three digits": text.replace("exchange", 'ex\\u12"'),
    }  # fmt: skip
    for name, header_text in damaged.items():
        yield name, file(header_text, data), "its header is damaged"
    for name, raw in {
        "byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "UTF-16": text.encode("utf-16-le"),
        "not UTF-8": text.encode().replace(b"exchange", b"ex\xffchange"),
        "too long a form": text.encode().replace(b"exchange", b"ex\xc0\xafchange"),
        "surrogate in UTF-8": text.encode().replace(b"exchange", b"ex\xed\xa0\x80change"),
        "beyond Unicode": text.encode().replace(b"exchange", b"ex\xf4\x90\x80\x80change"),
        "cut UTF-8": text.encode().replace(b"exchange-v1", b"exchange\xe2\x82"),
    }.items():
        yield name, file(raw, data), "its header is damaged"
    # ---- arrays that do not fill the file
    size = len(data)
    for name, dtype, shape, offsets, words in (
        ("half numbers", "F16", [3, 6], [size - 72, size - 36], "is of dtype"),
        ("wide numbers", "F64", [3, 3], [size - 72, size], "is of dtype"),
        ("bytes", "U8", [3, 24], [size - 72, size], "is of dtype"),
        ("no such numbers", "f32", [3, 6], [size - 72, size], "is of dtype"),
        ("gap", "F32", [3, 5], [size - 60, size], "overlap or leave a gap"),
        ("overlap", "F32", [3, 7], [size - 84, size], "overlap"),
        ("the same place", "F32", [3, 4], [0, 48], "overlap"),
        ("backwards", "F32", [3, 6], [size, size - 72], "lies at"),
        ("beyond the end", "F32", [3, 7], [size - 72, size + 12], "lies at"),
        ("too few bytes", "F32", [3, 6], [size - 68, size], "lies at"),
        ("2**62 numbers", "F32", [2**62, 4], [size - 72, size], "larger than its file"),
        ("10**8 agents", "F32", [10**8, 10**6], [size - 72, size], "larger than its file"),
        ("overflow to nothing", "F32", [2**32, 2**32], [size, size], "larger than its file"),
        ("long product", "F32", [2**63] * 20_000, [size - 72, size], "larger than its file"),
    ):  # fmt: skip
        entry = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        yield name, file(json.dumps({**entries, "layers.1.bias": entry}), data), words
    nothing = {"dtype": "F32", "shape": [0, 2**63], "data_offsets": [size, size]}
    yield "nothing, many times", file(json.dumps({**entries, "x": nothing}), data), "x|5 tensors"
    # ---- no policy
    for key in sorted(ABOUT.keys() - {"ascore"}):
        about = {name: value for name, value in ABOUT.items() if name != key}
        yield f"no {key}", whole({**entries, "__metadata__": about}), f'its metadata lack "{key}"'
    lack = {name: entry for name, entry in entries.items() if name != "__metadata__"}
    yield "no metadata", whole(lack), 'its metadata lack "format"'
    yield "another format", whole(header({"format": "pt"})), 'format = "pt", want "ascore.policy"'
    yield (
        "a newer version",
        whole(header({"version": "2"})),
        "policy format 2, this version reads 1",
    )
    numbers = ["", "0", "-3", "+3", " 3", "3 ", "1_0", "3.0", "0x3", "\u0663", "1e1", "nan"]
    numbers += ["99999999", "9" * 30, "9" * 5000]
    for key in ("version", "num_agents", "num_actions"):
        for number in numbers:
            about = {key: number}
            yield f"{about!s:.300}", whole(header(about)), f"{key} = .*is not in 1\\.\\."
    scales = ["", "much", "nan", "NaN", "inf", "-inf", " 1", "1 ", "1_0", "0x1p3", "1e400", "1e"]
    scales += ["--1", "1.0.0", "\u0661", "1,5", "1e+", "."]
    for scale in scales:
        yield f"scale {scale!r}", whole(header({"obs_scale": scale})), "obs_scale = .*not a number"
    for scale in ("0", "-1", "-0.0", "1e39", "1e300", "1e-60"):
        yield f"scale {scale}", whole(header({"obs_scale": scale})), "is not a number above 0"
    yield "fewer agents", whole(header({"num_agents": "2"})), "do not serve 2 agents of 6 actions"
    yield "more agents", whole(header({"num_agents": "4"})), "do not serve 4 agents of 6 actions"
    yield "more actions", whole(header({"num_actions": "7"})), "do not serve 3 agents of 7 actions"
    for name, shapes, words in (
        ("no layers", {}, "0 tensors"),
        ("no bias", {k: v for k, v in SHAPES.items() if k != "layers.1.bias"}, "3 tensors|lacks"),
        ("no first layer", {k.replace("0", "2"): v for k, v in SHAPES.items()}, "lacks layers.0"),
        ("a tensor more", {**SHAPES, "x": [1]}, "5 tensors"),
        ("two tensors more", {**SHAPES, "x": [1], "y": [1]}, "lacks layers.2"),
        ("turned bias", {**SHAPES, "layers.1.bias": [6, 3]}, "do not fit together"),
        ("flat", {**SHAPES, "layers.0.weight": [144]}, "do not fit together"),
        ("layers apart", {**SHAPES, "layers.1.weight": [3, 5, 6]}, "do not fit together"),
        ("agents apart", {**SHAPES, "layers.1.weight": [4, 4, 6], "layers.1.bias": [4, 6]},
         "do not fit together"),
        ("nothing seen", {**SHAPES, "layers.0.weight": [3, 0, 4]}, "do not fit together"),
        ("nobody", {k: [0, *v[1:]] for k, v in SHAPES.items()}, "do not fit together"),
        ("a centre for many", {"layers.0.weight": [1, 12, 6], "layers.0.bias": [1, 6]},
         "1 networks of 6 outputs do not serve 3 agents"),
    ):  # fmt: skip
        head = header(shapes=shapes)
        values = data_of(head) if shapes else b""
        yield name, file(json.dumps(head), values), words
    centre = {"layers.0.weight": [1, 12, 2], "layers.0.bias": [1, 2]}
    many = header({"num_agents": "1024", "num_actions": "1"}, centre)
    yield "a centre of one action", whole(many), "do not serve 1024 agents of 1 actions"
    for value in (float("nan"), float("inf"), -float("inf")):
        yield f"weight {value}", with_number(value), "layers.1 holds a number that is not finite"


def mutated(count: int, seed: int) -> Iterator[bytes]:
    """Sound files with a few bytes or digits changed, most of them in the header."""
    rng = random.Random(seed)
    good = whole()
    size = struct.unpack("<Q", good[:8])[0]
    for _ in range(count):
        raw = bytearray(good)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(8 + size if rng.random() < 0.9 else len(raw))
            kind = rng.randrange(4)
            if kind == 0:
                raw[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                raw[at] = rng.choice(b'0123456789"{}[]:,\\eE.-+ \t')
            elif kind == 2:
                del raw[at : at + rng.randint(1, 4)]
            else:
                raw[at:at] = rng.choice(b'0123456789"{}[]:, ').to_bytes(1, "little")
        if rng.random() < 0.7:  # the header's length is right, so that it is read at all
            raw[:8] = struct.pack("<Q", max(0, size + len(raw) - len(good)))
        yield bytes(raw)
