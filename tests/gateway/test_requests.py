"""Requests are read in both dialects; what would change the answer is refused by name."""

import json
from typing import Any

import pytest
from tests.gateway.harness import model_of

from galerne.gateway.dialects.fields import CHAT, COMPLETIONS
from galerne.gateway.dialects.requests import read_request, warning
from galerne.gateway.errors import ApiError
from galerne.runtimes.llamacpp.runtime import LlamaCppRuntime

MESSAGES = [{"role": "user", "content": "hi"}]


def chat(**fields: Any) -> bytes:
    return json.dumps({"model": "echo", "messages": MESSAGES, **fields}).encode()


def forwarded(body: bytes, model: str = "echo") -> dict[str, Any]:
    result = json.loads(read_request(CHAT, body).for_replica(model))
    assert isinstance(result, dict)
    return result


def test_bytes_are_forwarded_as_sent() -> None:
    """A request in which nothing must change is not spelled again."""
    body = b'{ "model" : "echo",\n "messages":[{"role":"user","content":"\\u00e9"}] , "temperature": 1.0 }'

    assert read_request(CHAT, body).for_replica("echo") is body


def test_the_model_is_spelled_for_the_replica() -> None:
    """Only the model's name changes where the replica calls it otherwise."""
    body = b'{"model":"echo","messages":[{"role":"user","content":"\\u00e9 \\"model\\":1"}]}'

    assert read_request(CHAT, body).for_replica("up") == body.replace(b'"echo"', b'"up"')


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"random_seed": 5}, {"seed": 5}),
        ({"max_completion_tokens": 9}, {"max_tokens": 9}),
        ({"max_completion_tokens": 9, "max_tokens": 9}, {"max_tokens": 9}),
        ({"max_tokens": None, "temperature": None}, {}),
        ({"tool_choice": "any"}, {"tool_choice": "required"}),
        ({"user": "u", "metadata": {"a": "b"}, "prompt_cache_key": "k"}, {}),
        ({"stream": False, "stream_options": {"include_usage": True}}, {"stream": False}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        (
            {"stream": True, "stream_options": {"include_usage": False, "x": 1}},
            {"stream": True, "stream_options": {"include_usage": True}},
        ),
    ],
)
def test_both_dialects_become_one(sent: dict[str, Any], expected: dict[str, Any]) -> None:
    """Mistral's and OpenAI's names reach the program as the ones it knows, ours not at all."""
    result = forwarded(chat(**sent))

    assert {k: v for k, v in result.items() if k not in {"model", "messages"}} == expected


def test_unknown_fields_are_taken_out_and_named() -> None:
    """A private switch of the program cannot be set through the gateway, and the customer is told."""
    request = read_request(CHAT, chat(id_slot=3, **{'we"ird\r\n': 1}))

    assert request.ignored == ["id_slot", 'we"ird\r\n']
    assert json.loads(request.for_replica("echo")) == json.loads(chat())
    assert warning(request.ignored) == b"ignored fields: id_slot, we?ird??"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "max_completion_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": 1}, "stream_options"),
        ({"stop": [1]}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"functions": []}, "functions"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot"}]}, "messages"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages"),
        ({"messages": [{"role": "user", "content": ["text"]}]}, "messages"),
        ({"messages": None}, "messages"),
        ({"model": 7}, "model"),
        ({"model": None}, "model"),
        ({"top_logprobs": 21}, "top_logprobs"),
    ],
)
def test_bad_values_are_refused_by_name(fields: dict[str, Any], param: str) -> None:
    """What the program would take without a word is refused, with the field's name."""
    with pytest.raises(ApiError) as caught:
        read_request(CHAT, chat(**fields))

    assert caught.value.status == 400
    assert caught.value.param == param


@pytest.mark.parametrize(
    "body", [b"", b"nil", b"[1]", b'{"model":"echo"', b"\xff{}", b'{"a":1,"a":2}']
)
def test_malformed_bodies_are_refused_with_the_place(body: bytes) -> None:
    """Whatever is not one JSON object says where it stops being one."""
    with pytest.raises(ApiError, match="at position") as caught:
        read_request(CHAT, body)

    assert caught.value.code == "invalid_json"


REFUSED = model_of(refused_fields=LlamaCppRuntime.refused_fields, context_tokens=100)


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": "any"},
        {"tool_choice": "required"},
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"n": 2},
    ],
)
def test_what_the_program_would_ignore_is_refused(fields: dict[str, Any]) -> None:
    """A forced tool call or a second choice that would not come is refused by its name."""
    with pytest.raises(ApiError) as caught:
        read_request(CHAT, chat(**fields)).check_against(REFUSED)

    assert (caught.value.code, caught.value.param) == ("refused_field", next(iter(fields)))


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": ["a", "b"]},
        {"logprobs": 1},
        {"echo": True},
        {"suffix": "x"},
        {"best_of": 2},
        {"n": 2},
    ],
)
def test_completions_have_refusals_of_their_own(fields: dict[str, Any]) -> None:
    """Fields that the program shapes wrongly on this endpoint are refused on it."""
    body = json.dumps({"model": "echo", "prompt": "hi", **fields}).encode()

    with pytest.raises(ApiError) as caught:
        read_request(COMPLETIONS, body).check_against(REFUSED)

    assert caught.value.param == next(iter(fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1},
        {"n": None},
        {"tool_choice": "auto"},
        {"logprobs": True, "top_logprobs": 2},
        {"max_tokens": 100},
    ],
)
def test_neutral_values_pass(fields: dict[str, Any]) -> None:
    """A refused field with a value that means nothing, or on another endpoint, passes."""
    read_request(CHAT, chat(**fields)).check_against(REFUSED)


def test_more_tokens_than_the_context_are_refused() -> None:
    """The figure asked and the figure held are both in the answer."""
    with pytest.raises(ApiError, match=r"101 .* 100") as caught:
        read_request(CHAT, chat(max_tokens=101)).check_against(REFUSED)

    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize("prompt", ["text", ["a", "b"], [1, 2, 3]])
def test_prompts_of_completions(prompt: object) -> None:
    """Text, several texts and token numbers are prompts."""
    body = json.dumps({"model": "m", "prompt": prompt}).encode()

    assert read_request(COMPLETIONS, body).model == "m"


@pytest.mark.parametrize("prompt", [[], 3, [[1]], [True], {}])
def test_other_prompts_are_refused(prompt: object) -> None:
    """Anything else is not a prompt."""
    with pytest.raises(ApiError) as caught:
        read_request(COMPLETIONS, json.dumps({"model": "m", "prompt": prompt}).encode())

    assert caught.value.param == "prompt"
