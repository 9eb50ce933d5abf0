"""The embedded model behind the gateway, asked by the unchanged `openai` package; killed and counted."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import openai
import psutil
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam
from tests.e2e.installation import Installation, Process, Tenant, until

Json = dict[str, Any]
DEPLOYMENT: Json = {
    "type": "deployment",
    "name": "chat",
    "model": "smollm2-135m-instruct",
    "context_tokens": 1024,
    "parallel": 2,
    "resources": {"cpu": 1, "memory": "1GB", "disk": "100MB"},
}
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello to Paris."}]


@dataclass(slots=True)
class Served:
    """A running deployment and its customer. `asked` counts the requests that must be on record."""

    installation: Installation
    up: Process
    tenant: Tenant
    deployment_id: str
    client: OpenAI
    asked: int = 0

    def chat(self, **changes: Any) -> Any:
        answer = self.client.chat.completions.create(
            **{"model": "chat", "messages": MESSAGES, "max_tokens": 8, "temperature": 0, **changes}
        )
        self.asked += 1
        return answer

    def other(self, key: str) -> OpenAI:
        return openai_client(self.installation, key)

    def ready(self) -> list[str]:
        seen = self.tenant.ask("GET", f"/deployments/{self.deployment_id}")
        return [replica["id"] for replica in seen["replicas"] if replica["state"] == "ready"]

    def requests(self) -> int:
        records = self.tenant.usage(workload_id=self.deployment_id, meter="requests")
        return sum(int(record["quantity"]) for record in records)

    def recorded(self) -> None:
        """Wait until every request is on record, and see that none is there twice."""
        until("every request is on record", lambda: self.requests() >= self.asked)
        assert self.requests() == self.asked


def openai_client(installation: Installation, key: str) -> OpenAI:
    url = f"http://127.0.0.1:{installation.gateway_port}/v1"
    return OpenAI(base_url=url, api_key=key, max_retries=0, timeout=60)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The embedded model, ready, on an installation of this module's own."""
    installation = Installation(tmp_path_factory.mktemp("serving"))
    try:
        up = installation.up()
        tenant = Tenant(installation)
        applied = tenant.run("apply", "-f", tenant.file("chat", DEPLOYMENT), "--yes")
        assert applied.returncode == 0, applied.stdout + applied.stderr
        made = tenant.ask("GET", "/deployments")["items"][0]
        assert made["state"] == "running"
        with openai_client(installation, tenant.key) as client:
            served = Served(installation, up, tenant, made["id"], client)
            until("the gateway knows its replica", lambda: _answers(served))
            yield served
    finally:
        installation.close()


def test_chat(served: Served) -> None:
    """An answer comes from the real model, and its usage is what is recorded."""
    served.recorded()
    before = _tokens(served)

    answer = served.chat()

    assert answer.choices[0].message.content
    assert 0 < answer.usage.completion_tokens <= 8
    served.recorded()
    assert _tokens(served) - before == answer.usage.completion_tokens


def test_streaming_with_usage(served: Served) -> None:
    """A stream brings text piece by piece, and its last event the usage that was asked for."""
    chunks = list(served.chat(stream=True, stream_options={"include_usage": True}))

    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text
    assert chunks[-1].usage is not None
    assert 0 < chunks[-1].usage.completion_tokens <= 8
    served.recorded()


def test_who_may_not_ask_is_refused(served: Served) -> None:
    """A wrong key, an unknown model and a model outside the key's allow-list are refused and not counted."""
    body = {"name": "narrow", "models": ["another"]}
    narrow = served.tenant.ask("POST", "/api-keys", body)["secret"]
    with served.other("gal_wrong") as wrong, pytest.raises(openai.AuthenticationError):
        wrong.chat.completions.create(model="chat", messages=MESSAGES)
    with pytest.raises(openai.NotFoundError) as unknown:
        served.client.chat.completions.create(model="gpt-9", messages=MESSAGES)
    assert unknown.value.code == "model_not_found"
    with served.other(narrow) as allowed_little:
        until(
            "the gateway knows the key", lambda: _is_known(allowed_little), seconds=20
        )  # Snapshots are a second old at most.
        with pytest.raises(openai.NotFoundError) as outside:
            allowed_little.chat.completions.create(model="chat", messages=MESSAGES)
    assert outside.value.code == "model_not_found"
    served.recorded()


def _is_known(client: OpenAI) -> bool:
    try:
        return [model.id for model in client.models.list()] == []
    except openai.AuthenticationError:
        return False


def test_a_cancelled_stream_is_recorded_once(served: Served) -> None:
    """A client that hangs up mid-stream has one record, with the tokens that were made for it."""
    before = _tokens(served)
    stream = served.chat(stream=True, max_tokens=400, messages=_long())
    for number, _ in enumerate(stream):
        if number == 3:
            break
    stream.close()

    served.recorded()
    assert 0 < _tokens(served) - before < 400


def _long() -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": "Write a very long story about the sea."}]


def _tokens(served: Served) -> int:
    records = served.tenant.usage(workload_id=served.deployment_id, meter="tokens_output")
    return sum(int(record["quantity"]) for record in records)


def test_a_killed_gateway_counts_each_request_once(served: Served) -> None:
    """What metering could not take before `kill -9` is replayed from the journal; the replica is adopted."""
    before = served.ready()
    pid = served.installation.launch(before[0])["pid"]
    holder = sqlite3.connect(served.installation.data / "galerne.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")  # So that nothing can leave the journal.
    try:
        for _ in range(4):
            served.chat()
        served.up.kill()
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    assert psutil.pid_exists(pid)

    served.up = served.installation.up()

    served.recorded()
    assert served.ready() == before
    assert served.installation.launch(before[0])["pid"] == pid
    until("it answers again", lambda: _answers(served))
    served.recorded()


def _answers(served: Served) -> bool:
    try:
        served.chat()
    except openai.APIStatusError:
        return False
    return True


def test_a_killed_replica_is_replaced(served: Served) -> None:
    """After `kill -9` of the serving program another replica takes over, and answers."""
    before = served.ready()
    os.kill(int(served.installation.launch(before[0])["pid"]), signal.SIGKILL)

    after = until("another replica is ready", lambda: _others(served, before))

    assert len(after) == 1
    until("it answers again", lambda: _answers(served))


def _others(served: Served, before: list[str]) -> list[str]:
    return [replica for replica in served.ready() if replica not in before]


def test_it_stops_and_leaves_nothing(served: Served) -> None:
    """Stopped, it is gone from the list of models, no process is left, and every request was counted once."""
    assert served.tenant.run("stop", "chat").returncode == 0
    waited = served.tenant.run("wait", "chat", "--timeout", "30s")
    assert "stopped" in waited.stdout + waited.stderr
    until("the gateway knows", lambda: not list(served.client.models.list()))
    until("its processes are gone", lambda: not served.installation.belonging())
    served.recorded()
