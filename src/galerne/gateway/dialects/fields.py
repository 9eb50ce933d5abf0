"""The known fields of each endpoint: how each is checked, and whether the serving program sees it.

A field that is not listed is ignored, taken out of what is forwarded, and named in a warning: a serving
program's private switches are not the customer's to set.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from galerne.gateway.dialects import checks
from galerne.gateway.dialects.checks import Check

TOKENS_MAX = 1 << 24
SEED_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Field:
    """One known field."""

    check: Check
    forwarded: bool = True  # Otherwise it is meant for us, or says who the customer's user is.
    renamed: str | None = None  # The name under which serving programs know it.


@dataclass(frozen=True, slots=True)
class EndpointFields:
    """The dialect of one endpoint."""

    endpoint: str  # As in `Runtime.endpoints`.
    required: str  # Besides `model`.
    known: Mapping[str, Field]


# What a refused field may hold without meaning anything.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "echo": (False,),
    "logprobs": (False,),
    "suffix": ("",),
    "tools": ([],),
    "tool_choice": ("auto", "none"),
    "response_format": ({"type": "text"},),
}

_COMMON: Mapping[str, Field] = {
    "model": Field(checks.text),
    "stream": Field(checks.boolean),
    "stream_options": Field(checks.mapping),
    "max_tokens": Field(checks.integer(1, TOKENS_MAX)),
    "min_tokens": Field(checks.integer(0, TOKENS_MAX)),
    "temperature": Field(checks.number(0, 2)),
    "top_p": Field(checks.number(0, 1)),
    "n": Field(checks.integer(1, 128)),
    "stop": Field(checks.stop),
    "seed": Field(checks.integer(-SEED_MAX, SEED_MAX)),
    "random_seed": Field(checks.integer(0, SEED_MAX), renamed="seed"),
    "presence_penalty": Field(checks.number(-2, 2)),
    "frequency_penalty": Field(checks.number(-2, 2)),
    "logit_bias": Field(checks.mapping),
    "user": Field(checks.text, forwarded=False),
    "metadata": Field(checks.mapping, forwarded=False),
    "safety_identifier": Field(checks.text, forwarded=False),
    "prompt_cache_key": Field(checks.text, forwarded=False),
    "service_tier": Field(checks.text, forwarded=False),
}

CHAT = EndpointFields(
    endpoint="chat/completions",
    required="messages",
    known={
        **_COMMON,
        "messages": Field(checks.messages),
        "max_completion_tokens": Field(checks.integer(1, TOKENS_MAX), renamed="max_tokens"),
        "tools": Field(checks.tools),
        "tool_choice": Field(checks.tool_choice),
        "parallel_tool_calls": Field(checks.boolean),
        "response_format": Field(checks.response_format),
        "logprobs": Field(checks.boolean),
        "top_logprobs": Field(checks.integer(0, 20)),
        "modalities": Field(checks.only_text, forwarded=False),
        "functions": Field(checks.never),
        "function_call": Field(checks.never),
    },
)

COMPLETIONS = EndpointFields(
    endpoint="completions",
    required="prompt",
    known={
        **_COMMON,
        "prompt": Field(checks.prompt),
        "suffix": Field(checks.text),
        "echo": Field(checks.boolean),
        "best_of": Field(checks.integer(1, 20)),
        "logprobs": Field(checks.integer(0, 5)),
    },
)
