"""The adapter of the fake runtime."""

import sys
from typing import ClassVar

from galerne.runtimes import probe
from galerne.runtimes.base import Counters, Runtime, ServeCommand, ServeRequest

MEMORY_BYTES = 32 << 20


class FakeRuntime(Runtime):
    """Serves an echo; reads no weights."""

    name: ClassVar[str] = "fake"
    formats: ClassVar[frozenset[str]] = frozenset({"gguf", "safetensors"})
    endpoints: ClassVar[frozenset[str]] = frozenset({"chat/completions", "completions"})
    refused_fields: ClassVar[frozenset[str]] = frozenset(
        {"n", "tools", "logprobs", "response_format"}
    )

    def __init__(self, *, python: str = sys.executable) -> None:
        self._python = python

    def command(self, request: ServeRequest) -> ServeCommand:
        argv = (
            self._python,
            "-P",
            "-m",
            "galerne.runtimes.fake.serve",
            f"--host={request.host}",
            f"--port={request.port}",
            f"--name={request.model_name}",
        )
        return ServeCommand(argv=argv, env={"PYTHONUNBUFFERED": "1"}, memory_bytes=MEMORY_BYTES)

    async def ready(self, base_url: str) -> bool:
        answer = await probe.get(base_url, "/health")
        return answer is not None and answer[0] == 200

    async def counters(self, base_url: str) -> Counters | None:
        answer = await probe.get(base_url, "/metrics")
        if answer is None or answer[0] != 200:
            return None
        totals = probe.samples(answer[1])
        return Counters(
            prompt_tokens=int(totals.get("fake:prompt_tokens_total", 0)),
            completion_tokens=int(totals.get("fake:completion_tokens_total", 0)),
            requests_running=int(totals.get("fake:requests_running", 0)),
            requests_waiting=0,
        )
