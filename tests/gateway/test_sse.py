"""The stream rewriter gives the same result however the bytes were cut."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galerne.gateway.sse import StreamError, StreamRewriter, Usage

TRICKY = [
    "usage",
    "[DONE]",
    '"usage":{"prompt_tokens":9}',
    "data: x\n\ndata: y",
    "error",
    "\r\n",
    "é€😀",
    "",
]
TEXTS = st.lists(st.sampled_from(TRICKY) | st.text(max_size=20), max_size=12)
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 2}}


def chunk(**fields: Any) -> dict[str, Any]:
    return {"id": "c", "model": "upstream/name", "choices": [], **fields}


def stream(texts: list[str], *, newline: str = "\n", usage_apart: bool = True) -> bytes:
    """Spell a stream as an engine does."""
    chunks = [chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": None}}])]
    chunks += [
        chunk(choices=[{"delta": {"content": text}, "finish_reason": None}]) for text in texts
    ]
    last = chunk(choices=[{"delta": {}, "finish_reason": "stop"}])
    chunks += [last, chunk(usage=USAGE)] if usage_apart else [{**last, "usage": USAGE}]
    events = [
        ": ping",
        *(f"data: {json.dumps(item, ensure_ascii=False)}" for item in chunks),
        "data: [DONE]",
    ]
    return "".join(event + newline * 2 for event in events).encode()


def rewrite(pieces: list[bytes], *, usage_asked: bool = True) -> tuple[bytes, StreamRewriter]:
    rewriter = StreamRewriter("public", usage_asked=usage_asked, event_bytes_max=1 << 16)
    return b"".join(rewriter.feed(piece) for piece in pieces), rewriter


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(bounds)]


@given(
    TEXTS,
    st.lists(st.integers(min_value=0), max_size=30),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.booleans(),
)
def test_does_not_depend_on_the_cuts(
    texts: list[str], places: list[int], newline: str, usage_asked: bool, usage_apart: bool
) -> None:
    """Bytes, usage and count are those of the stream in one piece, and of every byte alone."""
    data = stream(texts, newline=newline, usage_apart=usage_apart)
    whole, expected = rewrite([data], usage_asked=usage_asked)

    for pieces in (cut(data, places), [data[i : i + 1] for i in range(len(data))]):
        output, rewriter = rewrite(pieces, usage_asked=usage_asked)

        assert output == whole
        assert rewriter.usage == expected.usage == Usage(5, 7, 2)
        assert rewriter.text_events == expected.text_events
        assert rewriter.done


@given(TEXTS, st.booleans())
def test_text_passes_and_the_model_is_the_public_one(texts: list[str], usage_asked: bool) -> None:
    """Every text arrives, under the public name; usage only where it was asked for."""
    output, _ = rewrite([stream(texts)], usage_asked=usage_asked)

    datas = [event[6:] for event in output.split(b"\n\n") if event.startswith(b"data: ")]
    assert datas.pop() == b"[DONE]"
    chunks = [json.loads(data) for data in datas]
    deltas = [choice["delta"] for item in chunks for choice in item["choices"]]
    assert [delta["content"] for delta in deltas[1:-1]] == texts
    assert {item["model"] for item in chunks} == {"public"}
    assert any("usage" in item for item in chunks) is usage_asked


def test_counts_parts_with_text() -> None:
    """Where the engine never counts, each part with text counts one."""
    data = stream(["a", "b", "c"])[: -len(b"data: [DONE]\n\n")]
    head = data[: data.index(b'{"id": "c", "model": "upstream/name", "choices": [], "usage"') - 6]

    _, rewriter = rewrite([head])

    assert rewriter.text_events == 3
    assert rewriter.usage is None
    assert not rewriter.done


def test_strips_usage_from_a_chunk_that_has_choices() -> None:
    """Usage that was not asked for goes alone when the chunk says more."""
    output, rewriter = rewrite([stream(["a"], usage_apart=False)], usage_asked=False)

    assert b"finish_reason" in output
    assert b'"usage"' not in output
    assert rewriter.usage == Usage(5, 7, 2)


def test_adds_the_extension_to_usage() -> None:
    """What the request cost goes into the usage object."""
    rewriter = StreamRewriter(
        "public",
        usage_asked=True,
        event_bytes_max=1 << 16,
        extension=lambda usage: f'{{"t":{usage[0]}}}',
    )

    output = rewriter.feed(stream(["a"]))

    assert b'"galerne":{"t":5}}' in output


@pytest.mark.parametrize(
    "data", [b"<html>\n\n", b"data: {oops}\n\n", b"data: [1]\n\n", b"x" * 70_000, b"data: \xff\n\n"]
)
def test_garbage_is_an_error(data: bytes) -> None:
    """Bytes that are no stream of JSON events are refused, also without an end."""
    with pytest.raises(StreamError):
        rewrite([data])


def test_an_error_in_the_stream_ends_it() -> None:
    """An engine's own error is seen as a failure, whatever follows it."""
    data = stream(["a"])[:400].rpartition(b"data:")[0] + b'data: {"error": {"message": "x"}}\n\n'

    _, rewriter = rewrite([data, b"data: [DONE]\n\n"])

    assert rewriter.failed
