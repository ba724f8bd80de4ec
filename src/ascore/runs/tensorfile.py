"""Reads and writes safetensors files with NumPy alone, so that policies need no other package.

Format: eight bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, raw data
(https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

DTYPES = {"F32": np.float32, "F64": np.float64, "I64": np.int64, "U8": np.uint8, "U64": np.uint64}


def parse(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """Arrays of a safetensors file, as read-only views of `data`.

    Raises:
        ValueError: the bytes are not a whole safetensors file.
    """
    header, body = _split(data)
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, stop = entry["data_offsets"]
        dtype = np.dtype(DTYPES[entry["dtype"]])
        wanted = math.prod(entry["shape"]) * dtype.itemsize
        if stop > len(body) or stop - start != wanted:
            message = (
                f"tensor {name!r} spans {start}..{stop} of {len(body)} bytes but needs {wanted}"
            )
            raise ValueError(message)
        arrays[name] = np.frombuffer(body[start:stop], dtype).reshape(entry["shape"])
    return arrays


def metadata(data: bytes) -> dict[str, str]:
    """Metadata strings of a safetensors file.

    Raises:
        ValueError: the bytes are not a whole safetensors file.
    """
    texts: dict[str, str] = _split(data)[0].get("__metadata__", {})
    return texts


def serialize(arrays: Mapping[str, npt.NDArray[Any]], about: Mapping[str, str]) -> bytes:
    """Bytes of a safetensors file with these arrays and metadata strings."""
    names = {np.dtype(kind).str: name for name, kind in DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": dict(about)}
    parts, at = [], 0
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": names[array.dtype.str],
            "shape": list(array.shape),
            "data_offsets": [at, at + len(raw)],
        }
        parts.append(raw)
        at += len(raw)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # aligns the data
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def _split(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """Splits a file into header and data."""
    if len(data) < 8:
        message = f"{len(data)} bytes are too few for a safetensors file"
        raise ValueError(message)
    size = int.from_bytes(data[:8], "little")
    if 8 + size > len(data):
        message = f"the header asks for {size} bytes, the file has {len(data) - 8}"
        raise ValueError(message)
    return json.loads(data[8 : 8 + size]), memoryview(data)[8 + size :]
