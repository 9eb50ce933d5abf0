"""Read the header of a GGUF file: enough to say how much memory a replica takes before it starts.

Only metadata are read, never tensors; every length is bounded, so a hostile file costs a clear error.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAGIC = b"GGUF"
ENTRIES_MAX = 65_536
STRING_BYTES_MAX = 16 << 20
ARRAY_ITEMS_MAX = 16 << 20
KV_CACHE_BYTES_PER_VALUE = 2  # llama.cpp keeps keys and values in f16 unless told otherwise.
PROGRAM_BYTES = (
    160 << 20
)  # Interpreter, library and compute buffers, measured with the embedded model.

_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING = 8
_ARRAY = 9

Value = int | float | bool | str | None


class GgufError(ValueError):
    """The file is not a GGUF header that we can read."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What placement needs to know of a model."""

    architecture: str
    name: str
    layers: int
    kv_values_per_token: int  # Keys and values of all layers for one token.
    context_tokens: int  # What the model was trained for.
    file_bytes: int

    def memory_bytes(self, *, context_tokens: int, parallel: int) -> int:
        """Estimate the memory of a replica: weights, KV cache of every slot, the program."""
        cache = self.kv_values_per_token * KV_CACHE_BYTES_PER_VALUE * context_tokens * parallel
        return self.file_bytes + cache + PROGRAM_BYTES


def read_header(path: Path) -> GgufHeader:
    """Read the header of `path`. Raises GgufError with what is wrong, OSError if it cannot be read."""
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise GgufError(f"{path.name} is not a GGUF file")
        version = _scalar(file, "I")
        if version not in {2, 3}:
            raise GgufError(f"{path.name} is GGUF version {version}; versions 2 and 3 are read")
        _tensors, entries = _scalar(file, "Q"), _scalar(file, "Q")
        if entries > ENTRIES_MAX:
            raise GgufError(f"{path.name} claims {entries} metadata entries")
        metadata = dict(_entry(file) for _ in range(int(entries)))
    return _header(metadata, file_bytes=path.stat().st_size)


def _header(metadata: dict[str, Value], *, file_bytes: int) -> GgufHeader:
    architecture = str(metadata.get("general.architecture", ""))

    def number(key: str, default: int = 0) -> int:
        value = metadata.get(f"{architecture}.{key}")
        return int(value) if isinstance(value, int | float) else default

    layers, width = number("block_count"), number("embedding_length")
    heads = number("attention.head_count", 1)
    kv_heads = number("attention.head_count_kv", heads)
    if not (layers and width and heads):
        raise GgufError("the metadata lack block_count, embedding_length or head_count")
    key_length = number("attention.key_length", width // heads)
    value_length = number("attention.value_length", width // heads)
    return GgufHeader(
        architecture=architecture,
        name=str(metadata.get("general.name", "")),
        layers=layers,
        kv_values_per_token=layers * kv_heads * (key_length + value_length),
        context_tokens=number("context_length"),
        file_bytes=file_bytes,
    )


def _entry(file: BinaryIO) -> tuple[str, Value]:
    key = _string(file)
    kind = int(_scalar(file, "I"))
    return key, _value(file, kind)


def _value(file: BinaryIO, kind: int) -> Value:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        _skip_array(file)
        return None
    if kind not in _SCALARS:
        raise GgufError(f"unknown metadata type {kind}")
    return _scalar(file, _SCALARS[kind])


def _skip_array(file: BinaryIO) -> None:
    kind, items = int(_scalar(file, "I")), int(_scalar(file, "Q"))
    if items > ARRAY_ITEMS_MAX:
        raise GgufError(f"a metadata array claims {items} items")
    if kind in _SCALARS:
        file.seek(items * struct.calcsize("<" + _SCALARS[kind]), 1)
        return
    if kind != _STRING:
        raise GgufError(f"unknown metadata array type {kind}")
    for _ in range(items):
        file.seek(_length(file), 1)


def _string(file: BinaryIO) -> str:
    return _exactly(file, _length(file)).decode("utf-8", "replace")


def _length(file: BinaryIO) -> int:
    length = int(_scalar(file, "Q"))
    if length > STRING_BYTES_MAX:
        raise GgufError(f"a metadata string claims {length} bytes")
    return length


def _scalar(file: BinaryIO, code: str) -> int | float | bool:
    (value,) = struct.unpack("<" + code, _exactly(file, struct.calcsize("<" + code)))
    assert isinstance(value, int | float)
    return value


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise GgufError("the header ends early")
    return data
