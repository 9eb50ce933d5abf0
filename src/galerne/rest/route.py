"""The request edge: one request is one transaction, of one tenant.

`TransactionalRoute` authenticates, opens the tenant's session, runs the endpoint, and commits when that
returns; an error rolls back, but for a refusal that is itself on record (`GalerneError.commits`).
A POST with an `Idempotency-Key` is answered once.
"""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import StreamingResponse

from galerne.db.session import on_commit
from galerne.rest import idempotency
from galerne.rest.errors import GalerneError, Unauthenticated
from galerne.rest.problems import problem_response
from galerne.rest.provide import ApiContext, context_of
from galerne.rest.subject import Subject

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class AuthenticatedRoute(APIRoute):
    """For endpoints that take long: they know who asks, hold no session, and open short ones."""

    def get_route_handler(self) -> Handler:
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            authenticator = context_of(request).authenticator
            request.state.subject = await authenticator.authenticate(bearer_secret(request))
            return await answer(request)

        return handle


class TransactionalRoute(APIRoute):
    """The route class of every other control-plane endpoint."""

    def get_route_handler(self) -> Handler:
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            context = context_of(request)
            subject = await context.authenticator.authenticate(bearer_secret(request))
            request.state.subject = subject
            async with _session(context, request, subject) as session:
                request.state.session = session
                key = request.headers.get("idempotency-key")
                if key is None or request.method != "POST":
                    return await _answer(request, answer)
                return await _answer_once(context, session, request, answer, key=key)

        return handle


def bearer_secret(request: Request) -> str:
    """Read the API key from the Authorization header."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated(
            "no API key was presented",
            hint="send the header Authorization: Bearer <key>",
        )
    return secret.strip()


@asynccontextmanager
async def _session(
    context: ApiContext, request: Request, subject: Subject
) -> AsyncIterator[AsyncSession]:
    if request.method in {"GET", "HEAD"}:
        async with context.database.read(subject.scope) as session:
            yield session
        return
    async with context.database.write(subject.scope) as session:
        on_commit(session, context.changed)
        yield session


async def _answer(request: Request, answer: Handler) -> Response:
    try:
        return await answer(request)
    except GalerneError as error:
        if not error.commits:
            raise
        return problem_response(error)


async def _answer_once(
    context: ApiContext, session: AsyncSession, request: Request, answer: Handler, *, key: str
) -> Response:
    subject: Subject = request.state.subject
    body = await request.body()
    stored = await idempotency.claim(
        session,
        organization_id=subject.organization_id,
        key=key,
        request=idempotency.fingerprint(subject.actor, request.method, request.url.path, body),
        now=context.clock.now(),
    )
    if stored.response_status:
        return Response(
            content=stored.response_body,
            status_code=stored.response_status,
            media_type=stored.response_type,
            headers={"idempotent-replayed": "true"},
        )
    response = await _answer(request, answer)
    assert not isinstance(response, StreamingResponse), "a stream cannot be answered once"
    stored.response_status = response.status_code
    stored.response_body = bytes(response.body)
    stored.response_type = response.headers.get("content-type", "application/json")
    return response
