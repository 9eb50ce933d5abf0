"""What a resource of the SDK is made of: methods that describe calls, bound to one of two executors.

A method is written once, as a description. Read from a `Galerne` it blocks and returns the result; read
from an `AsyncGalerne` it returns an awaitable of the same. Type checkers see the right one of the two.
"""

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from galerne_client.base import Page, parsed_as
from galerne_client.calls import PAGE_ROWS, Call, Item, QueryValue, Steps, Stream, ask
from galerne_client.executors import AsyncExecutor, SyncExecutor

P = ParamSpec("P")
T = TypeVar("T")
ExecutorT = TypeVar("ExecutorT", bound=SyncExecutor | AsyncExecutor)


class Resource(Generic[ExecutorT]):
    """A kind of object of the platform, and what may be asked of it."""

    def __init__(self, executor: ExecutorT, project: str | None) -> None:
        self._executor: ExecutorT = executor
        self._project = project


class operation(Generic[P, T]):  # noqa: N801 - used as a decorator, like property
    """A method that is one call."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Call[T]]) -> None:
        self.describe = describe
        functools.update_wrapper(self, describe)  # type: ignore[arg-type]  # for its docstring

    @overload
    def __get__(self, resource: Resource[SyncExecutor], owner: Any) -> Callable[P, T]: ...
    @overload
    def __get__(
        self, resource: Resource[AsyncExecutor], owner: Any
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, resource: Any, owner: Any) -> Any:
        if resource is None:
            return self

        @functools.wraps(self.describe)
        def bound(*args: P.args, **kwargs: P.kwargs) -> Any:
            return resource._executor.call(self.describe(resource, *args, **kwargs))  # noqa: SLF001

        return bound


class procedure(Generic[P, T]):  # noqa: N801 - used as a decorator, like property
    """A method that takes several calls and has one result."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        self.describe = describe
        functools.update_wrapper(self, describe)  # type: ignore[arg-type]  # for its docstring

    @overload
    def __get__(self, resource: Resource[SyncExecutor], owner: Any) -> Callable[P, T]: ...
    @overload
    def __get__(
        self, resource: Resource[AsyncExecutor], owner: Any
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, resource: Any, owner: Any) -> Any:
        if resource is None:
            return self

        @functools.wraps(self.describe)
        def bound(*args: P.args, **kwargs: P.kwargs) -> Any:
            return resource._executor.run(self.describe(resource, *args, **kwargs))  # noqa: SLF001

        return bound


class stream(Generic[P, T]):  # noqa: N801 - used as a decorator, like property
    """A method that gives items as they come: `for` in the one client, `async for` in the other."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Stream[T]]) -> None:
        self.describe = describe
        functools.update_wrapper(self, describe)  # type: ignore[arg-type]  # for its docstring

    @overload
    def __get__(self, resource: Resource[SyncExecutor], owner: Any) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(
        self, resource: Resource[AsyncExecutor], owner: Any
    ) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, resource: Any, owner: Any) -> Any:
        if resource is None:
            return self

        @functools.wraps(self.describe)
        def bound(*args: P.args, **kwargs: P.kwargs) -> Any:
            return resource._executor.iterate(self.describe(resource, *args, **kwargs))  # noqa: SLF001

        return bound


def paged(
    path: str, item: type[T], /, *, rows_max: int | None = None, **query: QueryValue
) -> Stream[T]:
    """Give every item of a list, newest first, fetching pages as they are needed."""
    cursor: str | None = None
    left = rows_max
    while left is None or left > 0:
        rows = PAGE_ROWS if left is None else min(PAGE_ROWS, left)
        page = yield from ask(
            Call(
                method="GET",
                path=path,
                query={**query, "limit": rows, "cursor": cursor},
                parse=parsed_as(Page[item]),  # type: ignore[valid-type]  # a class at run time
            )
        )
        for row in page.items[:rows]:
            yield Item(row)
        left = None if left is None else left - len(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return
