"""The bound on request bodies."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI, Request

from galerne.rest import problems
from galerne.rest.body_limit import BodyLimit


def app() -> FastAPI:
    made = FastAPI()
    problems.install(made)

    @made.post("/small")
    async def small(request: Request) -> int:
        return len(await request.body())

    @made.post("/blobs/x")
    async def blob(request: Request) -> int:
        return len(await request.body())

    made.add_middleware(BodyLimit, bytes_max=100, unbounded=["/blobs/"])
    return made


def client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app()), base_url="http://here")


async def pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 40


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_beyond_the_bound_is_refused(announced: bool) -> None:
    """Whether the length was announced or only came, the answer is a 413 with a hint."""
    async with client() as here:
        answer = await here.post("/small", content=b"x" * 120 if announced else pieces(3))

    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"
    assert "blobs" in answer.json()["hint"]


async def test_a_body_within_the_bound_and_an_upload_pass() -> None:
    """The bound itself is allowed, and uploads have a bound of their own."""
    async with client() as here:
        small = await here.post("/small", content=b"x" * 100)
        upload = await here.post("/blobs/x", content=pieces(10))

    assert (small.json(), upload.json()) == (100, 400)
