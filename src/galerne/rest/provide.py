"""How an endpoint gets its session, its subject and its services.

`Annotated[JobService, Depends(provided(JobService))]` builds the service on the request's own
transaction; the wiring says how (`Providers`). One request is one transaction (`rest.route`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.db.session import Database
from galerne.kit.clock import Clock
from galerne.rest.subject import Authenticator, Subject

ServiceT = TypeVar("ServiceT")
Providers = Mapping[type[Any], Callable[[AsyncSession], Any]]


@dataclass(frozen=True, slots=True)
class ApiContext:
    """What the API process holds for its routes; lives at `app.state.context`."""

    database: Database
    authenticator: Authenticator
    clock: Clock
    providers: Providers  # Built anew on each request's transaction.
    shared: Mapping[type[Any], Any]  # Process-wide; open sessions of their own where they need one.
    changed: Callable[[], None] = lambda: None  # Called when a request has committed a change.


def context_of(request: Request) -> ApiContext:
    context = request.app.state.context
    assert isinstance(context, ApiContext)
    return context


def provided(service: type[ServiceT]) -> Callable[[Request], ServiceT]:
    """Return a dependency that builds `service` on the request's transaction."""

    def provide(request: Request) -> ServiceT:
        built = context_of(request).providers[service](request.state.session)
        assert isinstance(built, service)
        return built

    return provide


def shared(service: type[ServiceT]) -> Callable[[Request], ServiceT]:
    """Return a dependency that yields the process-wide `service`."""

    def provide(request: Request) -> ServiceT:
        found = context_of(request).shared[service]
        assert isinstance(found, service)
        return found

    return provide


def requires(scope: str) -> Callable[[Request], Subject]:
    """Return a dependency that yields the subject, or refuses one that lacks `scope`."""

    def check(request: Request) -> Subject:
        subject = request.state.subject
        assert isinstance(subject, Subject)
        subject.require(scope)
        return subject

    check.required_scope = scope  # type: ignore[attr-defined]  # read by the generated API reference
    return check
