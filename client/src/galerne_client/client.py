"""The two clients. `Galerne` blocks, `AsyncGalerne` does not; they offer the same, resource by resource."""

from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx2

from galerne_client import __version__
from galerne_client.base import parsed_as
from galerne_client.calls import Call
from galerne_client.contexts import Context, resolve
from galerne_client.errors import ConfigurationError
from galerne_client.exchange import RetryPolicy
from galerne_client.executors import AsyncExecutor, SyncExecutor
from galerne_client.models import WhoAmI
from galerne_client.resource import ExecutorT, Resource, operation
from galerne_client.resources.deployments import Deployments
from galerne_client.resources.fleet import Fleets, Nodes, Sites
from galerne_client.resources.jobs import Jobs
from galerne_client.resources.record import Events, Prices, Proofs, Usage
from galerne_client.resources.registry import Artifacts, Datasets, Models
from galerne_client.resources.tenancy import ApiKeys, Members, Organizations, Projects

TIMEOUT_SECONDS = 30.0
CONNECT_SECONDS = 5.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Surface(Resource[ExecutorT]):
    """Everything that both clients offer."""

    def __init__(self, executor: ExecutorT, context: Context) -> None:
        super().__init__(executor, context.project)
        self.context = context
        self.organizations = Organizations(executor, context.project)
        self.projects = Projects(executor, context.project)
        self.members = Members(executor, context.project)
        self.api_keys = ApiKeys(executor, context.project)
        self.sites = Sites(executor, context.project)
        self.nodes = Nodes(executor, context.project)
        self.fleets = Fleets(executor, context.project)
        self.jobs = Jobs(executor, context.project)
        self.deployments = Deployments(executor, context.project)
        self.events = Events(executor, context.project)
        self.proofs = Proofs(executor, context.project)
        self.datasets = Datasets(executor, context.project)
        self.models = Models(executor, context.project)
        self.artifacts = Artifacts(executor, context.project)
        self.usage = Usage(executor, context.project)
        self.prices = Prices(executor, context.project)

    @operation
    def whoami(self) -> Call[WhoAmI]:
        """Say whose key this is and what it may do."""
        return Call(method="GET", path="/whoami", parse=parsed_as(WhoAmI))


class Galerne(Surface[SyncExecutor]):
    """The platform, from ordinary code. Use it as a context manager, or close it."""

    def __init__(
        self,
        *,
        url: str | None = None,
        api_key: str | None = None,
        project: str | None = None,
        context: Context | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retry: RetryPolicy | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        context = context or resolve(url=url, api_key=api_key, project=project)
        self.http = httpx2.Client(
            base_url=_checked(context.url),
            headers=_headers(context),
            timeout=httpx2.Timeout(timeout_seconds, connect=CONNECT_SECONDS),
            transport=transport,
            trust_env=_uses_proxies(context.url),
        )
        super().__init__(SyncExecutor(self.http, retry or RetryPolicy()), context)

    def close(self) -> None:
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncGalerne(Surface[AsyncExecutor]):
    """The platform, from asynchronous code. Use it as an asynchronous context manager, or close it."""

    def __init__(
        self,
        *,
        url: str | None = None,
        api_key: str | None = None,
        project: str | None = None,
        context: Context | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retry: RetryPolicy | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        context = context or resolve(url=url, api_key=api_key, project=project)
        self.http = httpx2.AsyncClient(
            base_url=_checked(context.url),
            headers=_headers(context),
            timeout=httpx2.Timeout(timeout_seconds, connect=CONNECT_SECONDS),
            transport=transport,
            trust_env=_uses_proxies(context.url),
        )
        super().__init__(AsyncExecutor(self.http, retry or RetryPolicy()), context)

    async def close(self) -> None:
        await self.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def _headers(context: Context) -> dict[str, str]:
    headers = {"user-agent": f"galerne-client/{__version__}", "accept": "application/json"}
    if context.api_key:
        headers["authorization"] = f"Bearer {context.api_key}"
    return headers


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ConfigurationError(
            f"{url!r} is not the address of a platform",
            code="url_invalid",
            hint="write it as https://cloud.example.eu",
        )
    return url.rstrip("/")


def _uses_proxies(url: str) -> bool:
    """Say whether the environment's proxies apply: never to this machine itself."""
    return urlsplit(url).hostname not in _LOOPBACK
