"""Reads and writes safetensors files with NumPy alone, so that policies need no other package.

Format: eight bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, raw data
(https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.reading import JSON_LIMIT, read_all, regular, strict_json

METADATA = "__metadata__"
DTYPES = {"F32": np.float32, "F64": np.float64, "I64": np.int64, "U8": np.uint8, "U64": np.uint64}


def read(path: Path, *, links: bool = False) -> bytes:
    """All bytes of a safetensors file; a long one only if it is as long as its header says.

    Args:
        path: of the file.
        links: follow a symbolic link, for a path that the user typed.

    Raises:
        OSError: it is missing, no regular file, or does not fit in memory.
        ValueError: it is long, and its header is damaged or says another length.
    """
    with regular(path, links=links) as (file, size):
        head = b""
        if size > JSON_LIMIT:  # sparse files may be long and hold nothing
            head = file.read(8)
            length = int.from_bytes(head, "little")
            if length > JSON_LIMIT:
                message = (
                    f"its header asks for {length} bytes, of which at most {JSON_LIMIT} are read"
                )
                raise ValueError(message)
            head += file.read(length)
            header, _ = _header_and_data(head)
            ends = [0]
            for name, entry in header.items():
                if name != METADATA:
                    _dtype(name, entry)
                    ends.append(entry["data_offsets"][1])
            if len(head) + max(ends) != size:
                message = f"it has {size} bytes, its header describes {len(head) + max(ends)}"
                raise ValueError(message)
        return head + read_all(file, size - len(head), path)


def parse(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """Arrays of a safetensors file, as read-only views of `data`.

    Raises:
        ValueError: the bytes are not a whole safetensors file, or its arrays do not fill it without
            gap or overlap.
    """
    header, body = _header_and_data(data)
    arrays, pieces = {}, []
    for name, entry in header.items():
        if name == METADATA:
            continue
        dtype = _dtype(name, entry)
        count = 1
        for extent in entry["shape"]:
            if extent and count > len(body) // extent:
                message = f"tensor {name} is larger than its file"
                raise ValueError(message)
            count *= extent
        (start, stop), wanted = entry["data_offsets"], count * dtype.itemsize
        if start > stop or stop > len(body) or stop - start != wanted:
            message = f"tensor {name} lies at {start}..{stop} of {len(body)} bytes, needs {wanted}"
            raise ValueError(message)
        if wanted:
            pieces.append((start, stop))
        try:
            arrays[name] = np.frombuffer(body[start:stop], dtype).reshape(entry["shape"])
        except OverflowError as error:  # nothing, but of so many rows that they cannot be counted
            message = f"tensor {name} has the shape {entry['shape']}"
            raise ValueError(message) from error
    end = 0
    for start, stop in sorted(pieces):
        if start != end:
            message = "its tensors overlap or leave a gap"
            raise ValueError(message)
        end = stop
    if end != len(body):
        message = "bytes follow the last tensor"
        raise ValueError(message)
    return arrays


def metadata(data: bytes) -> dict[str, str]:
    """Metadata strings of a safetensors file.

    Raises:
        ValueError: the bytes are not a whole safetensors file.
    """
    texts: dict[str, str] = _header_and_data(data)[0].get(METADATA, {})
    return texts


def serialize(arrays: Mapping[str, npt.NDArray[Any]], about: Mapping[str, str]) -> bytes:
    """Bytes of a safetensors file with these arrays and metadata strings."""
    return b"".join(pieces(arrays, about))


def pieces(
    arrays: Mapping[str, npt.NDArray[Any]], about: Mapping[str, str]
) -> Iterator[bytes | memoryview]:
    """The same bytes in pieces, of which those of contiguous arrays are views."""
    names = {np.dtype(kind).str: name for name, kind in DTYPES.items()}
    header: dict[str, Any] = {METADATA: dict(about)} if about else {}
    at = 0
    for name, array in arrays.items():
        header[name] = {
            "dtype": names[array.dtype.str],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # aligns the data
    yield len(text).to_bytes(8, "little") + text
    for array in arrays.values():
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _header_and_data(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """Splits a file into its header, as strict as JSON is, and its data."""
    if len(data) < 8:
        message = f"{len(data)} bytes are too few for a safetensors file"
        raise ValueError(message)
    size = int.from_bytes(data[:8], "little")
    if 8 + size > len(data):
        message = f"its header asks for {size} bytes, the file has {len(data) - 8}"
        raise ValueError(message)
    try:
        header = strict_json(data[8 : 8 + size], _whole)
        json.dumps(header, ensure_ascii=False).encode()  # no half of a surrogate pair
    except (ValueError, RecursionError) as error:
        message = f"its header is damaged: {error}"
        raise ValueError(message) from error
    texts = header.get(METADATA, {}) if isinstance(header, dict) else None
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        message = "its header is damaged: want a table of tensors, and texts as metadata"
        raise ValueError(message)
    return header, memoryview(data)[8 + size :]


def _whole(digits: str) -> int:
    """A whole number of at most 64 bits and without a sign, as C++ reads it."""
    if not digits.isdigit() or len(digits) > 20 or int(digits) >= 2**64:
        message = f"want a whole number, not {digits:.30}"
        raise ValueError(message)
    return int(digits)


def _dtype(name: str, entry: Any) -> np.dtype[Any]:
    """The type of a tensor's numbers; raises ValueError unless the entry describes a tensor."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        message = f"its header is damaged: want dtype, shape and data_offsets of tensor {name}"
        raise ValueError(message)
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    for numbers in (shape, offsets):
        if not isinstance(numbers, list) or any(type(number) is not int for number in numbers):
            message = f"its header is damaged: want whole numbers for tensor {name}"
            raise ValueError(message)
    if not isinstance(kind, str) or len(offsets) != 2:
        message = f"its header is damaged: want a dtype and two data_offsets of tensor {name}"
        raise ValueError(message)
    if kind not in DTYPES:
        message = f"tensor {name} is of dtype {kind}, want one of {', '.join(DTYPES)}"
        raise ValueError(message)
    return np.dtype(DTYPES[kind])
