"""The header of a weights file is read, bounded and never trusted."""

import struct
from pathlib import Path

import pytest

from galerne.runtimes.llamacpp.gguf import GgufError, read_header


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def number(key: str, value: int) -> bytes:
    return string(key) + struct.pack("<II", 4, value)


def gguf(*entries: bytes, version: int = 3, count: int | None = None) -> bytes:
    claimed = len(entries) if count is None else count
    return b"GGUF" + struct.pack("<IQQ", version, 0, claimed) + b"".join(entries)


SHAPE = (
    string("general.architecture") + struct.pack("<I", 8) + string("llama"),
    string("tokenizer.tokens") + struct.pack("<IIQ", 9, 8, 2) + string("a") + string("b"),
    string("tokenizer.scores") + struct.pack("<IIQ", 9, 6, 2) + struct.pack("<ff", 0.5, 1.5),
    number("llama.block_count", 2),
    number("llama.embedding_length", 64),
    number("llama.attention.head_count", 8),
    number("llama.attention.head_count_kv", 4),
    number("llama.context_length", 512),
)


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    return path


def test_reads_the_shape(tmp_path: Path) -> None:
    """Layers, key-value heads and widths give the size of one token in the cache."""
    header = read_header(write(tmp_path, gguf(*SHAPE)))

    assert (header.architecture, header.layers, header.context_tokens) == ("llama", 2, 512)
    assert header.kv_values_per_token == 2 * 4 * (8 + 8)


def test_memory_grows_with_context_and_slots(tmp_path: Path) -> None:
    """Each slot has a cache of its own, two bytes a value."""
    header = read_header(write(tmp_path, gguf(*SHAPE)))

    one = header.memory_bytes(context_tokens=100, parallel=1)
    four = header.memory_bytes(context_tokens=100, parallel=4)

    assert four - one == 3 * 100 * header.kv_values_per_token * 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        gguf(version=9),
        gguf(count=1 << 40),
        gguf(struct.pack("<Q", 1 << 50)),
        gguf(string("x") + struct.pack("<I", 77)),
        gguf(string("x") + struct.pack("<IIQ", 9, 8, 1 << 60)),
        gguf(string("x") + struct.pack("<IIQ", 9, 9, 1)),
        gguf(*SHAPE)[:60],
        gguf(*SHAPE[:1]),
    ],
)
def test_foreign_or_hostile_files_are_refused(tmp_path: Path, data: bytes) -> None:
    """Whatever a file claims, the answer is an error that says what is wrong."""
    with pytest.raises(GgufError):
        read_header(write(tmp_path, data))
