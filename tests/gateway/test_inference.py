"""Requests that end well: the answer, its headers, and one usage record."""

import asyncio
import json
import time
from dataclasses import replace

from tests.gateway.harness import (
    RunningGateway,
    key_policy,
    model_of,
    replica_of,
    running,
    snapshot_of,
    until,
)

from galerne.gateway.recording import Outcome, TokenCountMethod
from galerne.gateway.settings import GatewaySettings
from galerne.gateway.snapshot import EnergyModel
from galerne.runtimes.fake.server import FakeServer, Fault


async def test_a_whole_answer(gateway: RunningGateway) -> None:
    """Tokens, price and site stand in the headers, and in the record that the sink gets."""
    answer = await gateway.chat("one two three")

    assert answer.status == 200
    assert answer.json()["choices"][0]["message"]["content"].startswith("one two three one")
    assert answer.headers["galerne-tokens-prompt"] == "3"
    assert answer.headers["galerne-tokens-completion"] == "8"
    assert answer.headers["galerne-cost-nano-eur"] == str(3 * 200 + 8 * 600)
    assert answer.headers["galerne-site"] == "essonne-1"
    record = await gateway.sink.one()
    assert record.id == answer.headers["x-request-id"]
    assert (record.prompt_tokens, record.completion_tokens) == (3, 8)
    assert (record.outcome, record.token_count_method) == (Outcome.OK, TokenCountMethod.ENGINE)
    assert (record.key_id, record.project_id, record.deployment_id) == ("key_1", "prj_1", "dep_1")
    assert (record.endpoint, record.streamed, record.ttft_ms) == ("chat/completions", False, None)


async def test_a_stream_without_usage(gateway: RunningGateway) -> None:
    """The client that did not ask for usage gets none; the record has the engine's all the same."""
    answer = await gateway.chat(stream=True)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.events[-1] == "[DONE]"
    assert all("usage" not in event for event in answer.events[:-1])
    record = await gateway.sink.one()
    assert (record.prompt_tokens, record.completion_tokens, record.streamed) == (3, 8, True)
    assert record.token_count_method is TokenCountMethod.ENGINE
    assert record.ttft_ms is not None


async def test_a_stream_with_usage(gateway: RunningGateway) -> None:
    """The client that asked gets usage in the last chunk, with what it cost."""
    answer = await gateway.chat(stream=True, stream_options={"include_usage": True})

    usage = answer.events[-2]["usage"]
    assert answer.events[-2]["choices"] == []
    assert usage["total_tokens"] == 11
    assert usage["galerne"] == {"cost_nano_eur": 5400, "site": "essonne-1"}


async def test_completions(gateway: RunningGateway) -> None:
    """The older endpoint answers in its own shape, whole and streamed."""
    body = {"model": "echo", "prompt": "a b", "max_tokens": 2}

    whole = await gateway.ask("/v1/completions", body)
    streamed = await gateway.ask("/v1/completions", {**body, "stream": True})

    assert whole.json()["choices"][0]["text"] == "a b "
    assert "".join(event["choices"][0]["text"] for event in streamed.events[:-1]) == "a b "


async def test_energy_and_carbon(fake: FakeServer, settings: GatewaySettings) -> None:
    """With a power model in the snapshot, the answer says watt-hours, grams and the method."""
    fake.options.first_token_seconds = 0.2
    energy = EnergyModel(replica_watts=3600.0, pue=1.5, gco2e_per_kwh=40.0)
    async with running(snapshot_of(model_of(replica_of(fake), energy=energy)), settings) as gateway:
        answer = await gateway.chat()
        streamed = await gateway.chat(stream=True, stream_options={"include_usage": True})

    watt_hours = float(answer.headers["galerne-energy-wh"])
    assert 0.3 <= watt_hours < 3.0
    assert answer.headers["galerne-energy-method"] == "estimated"
    assert abs(float(answer.headers["galerne-carbon-gco2e"]) - watt_hours * 0.04) < 1e-5
    assert streamed.events[-2]["usage"]["galerne"]["energy_wh"] >= 0.3


async def test_the_replicas_name_is_never_shown(
    fake: FakeServer, settings: GatewaySettings
) -> None:
    """The replica is asked under its own name and answers under the public one."""
    fake.options.model_name = "internal-7b"
    served = model_of(replica_of(fake, model_name="internal-7b"))
    async with running(snapshot_of(served), settings) as gateway:
        whole = await gateway.chat()
        streamed = await gateway.chat(stream=True)

    assert [body["model"] for body in fake.totals.bodies] == ["internal-7b"] * 2
    assert whole.json()["model"] == "echo"
    assert b"internal" not in whole.body + streamed.body


async def test_unknown_fields_are_warned_of(gateway: RunningGateway, fake: FakeServer) -> None:
    """An unknown field is ignored with a warning, and the replica never sees it."""
    answer = await gateway.chat(slot=1, temperature=0.5)

    assert answer.headers["galerne-warning"] == "ignored fields: slot"
    assert "slot" not in fake.totals.bodies[0]
    assert fake.totals.bodies[0]["temperature"] == 0.5


async def test_an_engine_that_does_not_count(gateway: RunningGateway, fake: FakeServer) -> None:
    """Without the engine's usage the parts are counted, and the record says so."""
    fake.options.fault = Fault.NO_USAGE

    await gateway.chat(stream=True)

    record = await gateway.sink.one()
    assert (record.completion_tokens, record.token_count_method) == (8, TokenCountMethod.CHUNKS)
    assert record.prompt_tokens > 0


async def test_connections_are_kept(gateway: RunningGateway, fake: FakeServer) -> None:
    """Requests one after the other use one connection, whole or streamed."""
    for number in range(6):
        await gateway.chat(stream=number % 2 == 0)

    assert fake.totals.connections == 1


async def test_a_fast_stream_is_not_delayed(gateway: RunningGateway) -> None:
    """A burst of events passes in milliseconds: no leg waits for an acknowledgement (Nagle)."""
    times = []
    for _ in range(20):
        begun = time.perf_counter()
        await gateway.chat(stream=True)
        times.append(time.perf_counter() - begun)

    assert sorted(times)[10] < 0.03


async def test_the_least_busy_replica_is_chosen(
    fake: FakeServer, settings: GatewaySettings
) -> None:
    """While one replica works on long answers, requests go to the other."""
    async with FakeServer(replace(fake.options, first_token_seconds=0.5)) as slow:
        replicas = (replica_of(slow, 1), replica_of(fake, 2))
        async with (
            running(snapshot_of(model_of(*replicas)), settings) as gateway,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(12):
                group.create_task(gateway.chat())
                await asyncio.sleep(0.02)

    assert slow.totals.finished in {1, 2}
    assert fake.totals.finished >= 10


async def test_many_at_once(gateway: RunningGateway) -> None:
    """Sixty concurrent requests make sixty records, each its own."""
    answers = await asyncio.gather(*(gateway.chat(stream=n % 2 == 0) for n in range(60)))

    assert {answer.status for answer in answers} == {200}
    await until(lambda: len(gateway.sink.records) == 60)
    assert {answer.headers["x-request-id"] for answer in answers} == set(gateway.sink.records)


async def test_operators_see_what_happens(gateway: RunningGateway) -> None:
    """Health, readiness and counters are there, without a key."""
    await gateway.chat()
    await gateway.chat(stream=True)
    await gateway.ask("/v1/chat/completions", b"{")

    page = (await gateway.ask("/metrics", key=None)).body.decode()

    assert (await gateway.ask("/healthz", key=None)).status == 200
    assert (await gateway.ask("/readyz", key=None)).status == 200
    assert 'requests_total{endpoint="chat/completions",outcome="ok"} 2.0' in page
    assert 'outcome="invalid_json"} 1.0' in page
    assert 'tokens_total{kind="completion",model="echo"} 16.0' in page
    assert "galerne_gateway_first_token_seconds_count 1.0" in page
    assert "galerne_gateway_snapshot_age_seconds" in page


async def test_unknown_paths_and_methods(gateway: RunningGateway) -> None:
    """A wrong path or method is refused in the API's shape."""
    assert (await gateway.ask("/v1/nothing")).code == "not_found"
    assert (await gateway.ask("/v1/chat/completions")).code == "method_not_allowed"
    assert (await gateway.ask("/v1/models", {})).status == 405


async def test_the_journal_is_empty_after_a_clean_stop(
    fake: FakeServer, settings: GatewaySettings
) -> None:
    """On a graceful stop everything is shipped, and no file is left to replay."""
    slow_shipping = replace(settings, ship_interval_seconds=60.0)
    async with running(snapshot_of(model_of(replica_of(fake))), slow_shipping) as gateway:
        await gateway.chat()
        assert gateway.sink.records == {}

    assert len(gateway.sink.records) == 1
    assert list(settings.journal_directory.glob("*.journal")) == []


async def test_streams_end_before_a_graceful_stop(
    fake: FakeServer, settings: GatewaySettings
) -> None:
    """A stream that is open when the gateway is told to stop runs to its end."""
    fake.options.token_seconds = 0.05
    async with running(snapshot_of(model_of(replica_of(fake))), settings) as gateway:
        asking = asyncio.create_task(gateway.chat(stream=True))
        await asyncio.sleep(0.1)
    answer = await asking

    assert answer.events[-1] == "[DONE]"
    assert (await gateway.sink.one()).outcome is Outcome.OK


async def test_keys_policy_is_per_key(gateway: RunningGateway, fake: FakeServer) -> None:
    """A snapshot with another policy for the same key rules from the next request on."""
    gateway.source.snapshot = snapshot_of(
        model_of(replica_of(fake)), version="2", policy=key_policy(models=frozenset())
    )
    await gateway.app.parts.snapshots.refresh()

    answer = await gateway.ask("/v1/models")

    assert json.loads(answer.body) == {"object": "list", "data": []}
