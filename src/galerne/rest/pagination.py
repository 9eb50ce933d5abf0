"""Lists by cursor: newest first, `limit` at a time, `next_cursor` until there is no more."""

from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

ItemT = TypeVar("ItemT")
PAGE_LIMIT_MAX = 500

Limit = Annotated[int, Query(ge=1, le=PAGE_LIMIT_MAX, description="Rows on a page.")]
Cursor = Annotated[
    str | None, Query(max_length=100, description="`next_cursor` of the page before.")
]


class Page(BaseModel, Generic[ItemT]):
    """One page of a list."""

    items: list[ItemT]
    next_cursor: str | None


def page(items: Sequence[ItemT], *, ids: Sequence[str], limit: int) -> Page[ItemT]:
    """Wrap `items`; a full page has a cursor, which is the id of its last row."""
    return Page(items=list(items), next_cursor=ids[-1] if len(ids) == limit else None)
