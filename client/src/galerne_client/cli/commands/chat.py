"""`galerne chat`: ask a served model through the LLM API, and stream its answer.

A convenience for a first look; programs use any OpenAI-compatible package with the same address and key.
"""

import json as json_module
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import httpx2
from cyclopts import Parameter

from galerne_client.calls import Answer
from galerne_client.cli.exit_codes import ExitCode
from galerne_client.cli.options import PLATFORM, Json, Platform
from galerne_client.cli.terminal import Terminal
from galerne_client.client import Galerne
from galerne_client.errors import ConnectionFailedError
from galerne_client.exchange import error_of

ANSWER_SECONDS_MAX = 120


def chat(
    model: Annotated[str, Parameter(help="A served model: a deployment's name.")],
    prompt: Annotated[str, Parameter(help="What to ask; - reads standard input.")],
    /,
    *,
    system: Annotated[str | None, Parameter(help="Instructions that come before.")] = None,
    max_tokens: Annotated[int, Parameter(help="Tokens of the answer at most.")] = 256,
    json: Json = False,
    target: Platform = PLATFORM,
) -> int:
    """Ask a served model, and stream its answer to standard output."""
    terminal = Terminal()
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": sys.stdin.read() if prompt == "-" else prompt})
    request = {
        "model": model,
        "messages": messages,
        "max_tokens": max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    text, usage = "", None
    with target.connect() as galerne:
        for event in _events(galerne, request):
            usage = event.get("usage") or usage
            piece = "".join(
                choice.get("delta", {}).get("content") or "" for choice in event.get("choices", ())
            )
            text += piece
            if not json:
                terminal.output(piece)
    if json:
        terminal.json({"model": model, "text": text, "usage": usage})
        return ExitCode.OK
    terminal.output("\n")
    if usage:
        terminal.note(
            f"{usage.get('prompt_tokens')} tokens in, {usage.get('completion_tokens')} tokens out"
        )
    return ExitCode.OK


def _events(galerne: Galerne, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the server-sent events of one answer. It is not sent again: tokens cost."""
    base = (galerne.context.gateway_url or galerne.context.url).rstrip("/")
    try:
        with galerne.http.stream(
            "POST", f"{base}/v1/chat/completions", json=request, timeout=ANSWER_SECONDS_MAX
        ) as response:
            if not response.is_success:
                raise error_of(Answer(response.status_code, {}, response.read()))
            for line in response.iter_lines():
                data = line.removeprefix("data:").strip()
                if line.startswith("data:") and data != "[DONE]":
                    yield json_module.loads(data)
    except httpx2.TransportError as error:
        raise ConnectionFailedError(f"the answer broke off: {error}") from error
