"""The contract of a serving program: a command line, a readiness probe, counters, and what it supports.

A runtime starts nothing itself. It turns a `ServeRequest` into a command that a driver launches, and
reads the program's own HTTP endpoints. It must own up to the program's faults: `refused_fields` names what it
would silently ignore, so that the gateway refuses it by name.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """One replica to be served."""

    model_path: Path  # Weights that the node can read.
    model_name: str  # The public name it answers to.
    host: str
    port: int
    context_tokens: int  # Largest prompt plus answer of one request.
    parallel: int  # Requests decoded together.
    threads: int


@dataclass(frozen=True, slots=True)
class ServeCommand:
    """What a driver must run, and what it will take."""

    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    memory_bytes: int = 0  # Weights plus KV cache plus the program, for placement.


@dataclass(frozen=True, slots=True)
class Counters:
    """The program's own totals since it started; usage must add up to them."""

    prompt_tokens: int
    completion_tokens: int
    requests_running: int
    requests_waiting: int


class Runtime(ABC):
    """A serving program."""

    name: ClassVar[str]
    formats: ClassVar[frozenset[str]]  # Weight formats it reads: "gguf", "safetensors".
    endpoints: ClassVar[frozenset[str]]  # Of "chat/completions", "completions", "embeddings".
    # Request fields whose meaning it would not honour. `n` refuses any value but the neutral one;
    # `completions:echo` on one endpoint only; `tool_choice=required` one value, or one JSON kind as in
    # `prompt=array`.
    refused_fields: ClassVar[frozenset[str]]

    @abstractmethod
    def command(self, request: ServeRequest) -> ServeCommand:
        """Spell the command line. Pure."""

    @abstractmethod
    async def ready(self, base_url: str) -> bool:
        """Probe readiness: False while it loads or cannot be reached. Never raises for that."""

    @abstractmethod
    async def counters(self, base_url: str) -> Counters | None:
        """Read the program's totals; None where it cannot be reached."""
