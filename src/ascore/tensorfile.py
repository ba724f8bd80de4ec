"""Reads safetensors files with NumPy alone, so that a policy acts where nothing else is installed.

Format: eight bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, raw data
(https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt

DTYPES = {"F32": np.float32, "F64": np.float64, "I64": np.int64, "U8": np.uint8, "U64": np.uint64}


def parse(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """Arrays of a safetensors file, as read-only views of `data`.

    Raises:
        ValueError: the bytes are not a whole safetensors file.
    """
    if len(data) < 8:
        message = f"{len(data)} bytes are too few for a safetensors file"
        raise ValueError(message)
    size = int.from_bytes(data[:8], "little")
    if 8 + size > len(data):
        message = f"the header asks for {size} bytes, the file has {len(data) - 8}"
        raise ValueError(message)
    header = json.loads(data[8 : 8 + size])
    body = memoryview(data)[8 + size :]
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, stop = entry["data_offsets"]
        dtype = np.dtype(DTYPES[entry["dtype"]])
        wanted = math.prod(entry["shape"]) * dtype.itemsize
        if stop > len(body) or stop - start != wanted:
            message = (
                f"tensor {name!r} lies at {start}..{stop} of {len(body)} bytes, needs {wanted}"
            )
            raise ValueError(message)
        arrays[name] = np.frombuffer(body[start:stop], dtype).reshape(entry["shape"])
    return arrays
