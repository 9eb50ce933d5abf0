"""The unchanged `openai` package works against the gateway and a real model on llama.cpp."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from tests.gateway.harness import KEY, RunningGateway, model_of, running, snapshot_of
from tests.runtimes.processes import serving

from galerne.gateway.recording import Outcome, TokenCountMethod
from galerne.gateway.settings import GatewaySettings
from galerne.gateway.snapshot import ReplicaAddress
from galerne.runtimes import embedded
from galerne.runtimes.llamacpp.runtime import LlamaCppRuntime

MODEL = "smollm2-135m-instruct"
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello to Paris."}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replica(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReplicaAddress]:
    log = tmp_path_factory.mktemp("llamacpp") / "log"
    path = embedded.locate().path
    async with serving(LlamaCppRuntime(), path, name=MODEL, log=log) as (base_url, _):
        yield ReplicaAddress("rep_1", base_url, MODEL, "essonne-1", "FR")


@pytest.fixture
async def real(replica: ReplicaAddress, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    served = model_of(
        replica, name=MODEL, refused_fields=LlamaCppRuntime.refused_fields, context_tokens=1024
    )
    settings = GatewaySettings(
        journal_directory=tmp_path / "journal", tick_seconds=0.02, ship_interval_seconds=0.02
    )
    async with running(snapshot_of(served), settings) as gateway:
        yield gateway


@pytest.fixture
async def client(real: RunningGateway) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{real.base_url}/v1", api_key=KEY, max_retries=0) as made:
        yield made


async def test_models(client: AsyncOpenAI) -> None:
    """The list and the single model read as the package expects."""
    models = [model.id async for model in client.models.list()]

    assert models == [MODEL]
    assert (await client.models.retrieve(MODEL)).owned_by == "galerne"


async def test_chat(client: AsyncOpenAI, real: RunningGateway) -> None:
    """An answer comes, and its usage is the recorded one."""
    answer = await client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_completion_tokens=12, temperature=0, seed=1
    )

    assert answer.choices[0].message.content
    assert answer.model == MODEL
    record = await real.sink.one()
    assert answer.usage is not None
    assert record.prompt_tokens == answer.usage.prompt_tokens
    assert record.completion_tokens == answer.usage.completion_tokens <= 12


async def test_stream_with_usage(client: AsyncOpenAI, real: RunningGateway) -> None:
    """Text comes in parts and usage in the last chunk, with the cost beside it."""
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        max_tokens=12,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    usage = chunks[-1].usage
    assert text
    assert usage is not None
    assert usage.model_extra is not None
    assert usage.model_extra["galerne"]["cost_nano_eur"] > 0
    record = await real.sink.one()
    assert record.completion_tokens == usage.completion_tokens
    assert (record.outcome, record.token_count_method) == (Outcome.OK, TokenCountMethod.ENGINE)


async def test_completions_and_chat_logprobs(client: AsyncOpenAI) -> None:
    """The older endpoint answers; log-probabilities of chat come in the API's shape."""
    completion = await client.completions.create(model=MODEL, prompt="Paris is", max_tokens=5)
    chat = await client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=2, logprobs=True, top_logprobs=2
    )

    assert completion.choices[0].text
    assert chat.choices[0].logprobs is not None
    assert chat.choices[0].logprobs.content is not None
    assert len(chat.choices[0].logprobs.content[0].top_logprobs) == 2


async def test_json_schema(client: AsyncOpenAI) -> None:
    """A schema binds the answer."""
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
    }
    answer = await client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Give me a number."}],
        max_tokens=40,
        temperature=0,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "number", "schema": schema},
        },
    )

    assert '"n"' in (answer.choices[0].message.content or "")


async def test_a_wrong_key(real: RunningGateway) -> None:
    """The package raises its own error for a bad key."""
    async with AsyncOpenAI(base_url=f"{real.base_url}/v1", api_key="gal_" + "x" * 26) as stranger:
        with pytest.raises(openai.AuthenticationError) as caught:
            await stranger.chat.completions.create(model=MODEL, messages=MESSAGES)

    assert caught.value.code == "invalid_api_key"


async def test_an_unknown_model(client: AsyncOpenAI) -> None:
    """The program would have answered under any name; the gateway does not."""
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="gpt-9", messages=MESSAGES)

    assert caught.value.code == "model_not_found"


async def test_a_prompt_longer_than_the_context(client: AsyncOpenAI) -> None:
    """The replica's own refusal arrives with a code of ours."""
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "word " * 3000}]
        )

    assert caught.value.code == "context_length_exceeded"


async def test_a_forced_tool_call(client: AsyncOpenAI) -> None:
    """What the program would not enforce is refused by name."""
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(
            model=MODEL,
            messages=MESSAGES,
            tools=[{"type": "function", "function": {"name": "wave", "parameters": {}}}],
            tool_choice="required",
        )

    assert (caught.value.code, caught.value.param) == ("refused_field", "tool_choice")


async def test_a_cancelled_stream(client: AsyncOpenAI, real: RunningGateway) -> None:
    """A stream that the program closes is stopped upstream and recorded once."""
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Tell me a very long story."}],
        max_tokens=900,
        stream=True,
    )
    received = 0
    async for chunk in stream:
        received += bool(chunk.choices and chunk.choices[0].delta.content)
        if received == 5:
            break
    await stream.close()

    record = await real.sink.one()
    await asyncio.sleep(0.1)

    assert record.outcome is Outcome.CLIENT_CLOSED
    assert 5 <= record.completion_tokens < 900
    assert record.token_count_method is TokenCountMethod.CHUNKS
    assert real.sink.received == 1
