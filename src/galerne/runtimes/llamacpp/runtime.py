"""The adapter of llama.cpp: spells the command of `serve`, probes it, and names what it does not honour.

llama.cpp accepts any model name and parameters out of range (the gateway validates both), answers with
text when a tool call was forced, shapes the log-probabilities of completions differently from the API,
counts the tokens of one choice when several were asked, and ignores `echo`. `refused_fields` lists what
would thereby change its meaning. `serve` covers the hanging stop.
"""

import sys
from typing import ClassVar

from galerne.runtimes import probe
from galerne.runtimes.base import Counters, Runtime, ServeCommand, ServeRequest
from galerne.runtimes.llamacpp.gguf import read_header

STOP_GRACE_SECONDS = 20


class LlamaCppRuntime(Runtime):
    """llama.cpp's server on a CPU, through the `xllamacpp` package."""

    name: ClassVar[str] = "llamacpp"
    formats: ClassVar[frozenset[str]] = frozenset({"gguf"})
    endpoints: ClassVar[frozenset[str]] = frozenset({"chat/completions", "completions"})
    refused_fields: ClassVar[frozenset[str]] = frozenset(
        {
            "n",
            "chat/completions:tool_choice=required",
            "chat/completions:tool_choice=object",
            "completions:logprobs",
            "completions:echo",
            "completions:best_of",
            "completions:suffix",
            "completions:prompt=array",
        }
    )

    def __init__(
        self, *, python: str = sys.executable, grace_seconds: int = STOP_GRACE_SECONDS
    ) -> None:
        self._python = python
        self._grace_seconds = grace_seconds

    def command(self, request: ServeRequest) -> ServeCommand:
        """Spell the command line. Reads nothing but the header of the weights."""
        header = read_header(request.model_path)
        argv = (
            self._python,
            "-P",
            "-m",
            "galerne.runtimes.llamacpp.serve",
            f"--model={request.model_path}",
            f"--name={request.model_name}",
            f"--host={request.host}",
            f"--port={request.port}",
            f"--context-tokens={request.context_tokens}",
            f"--parallel={request.parallel}",
            f"--threads={request.threads}",
            f"--grace-seconds={self._grace_seconds}",
        )
        return ServeCommand(
            argv=argv,
            env={"OMP_NUM_THREADS": str(request.threads), "PYTHONUNBUFFERED": "1"},
            memory_bytes=header.memory_bytes(
                context_tokens=request.context_tokens, parallel=request.parallel
            ),
        )

    async def ready(self, base_url: str) -> bool:
        answer = await probe.get(base_url, "/health")
        return answer is not None and answer[0] == 200

    async def counters(self, base_url: str) -> Counters | None:
        """Read /metrics. Prompt tokens taken from the cache count: the customer's usage has them too."""
        answer = await probe.get(base_url, "/metrics")
        if answer is None or answer[0] != 200:
            return None
        totals = probe.samples(answer[1])

        def total(name: str) -> int:
            return int(totals.get(f"llamacpp:{name}", 0))

        return Counters(
            prompt_tokens=total("prompt_tokens_total") + total("prompt_tokens_cached_total"),
            completion_tokens=total("tokens_predicted_total"),
            requests_running=total("requests_processing"),
            requests_waiting=total("requests_deferred"),
        )
