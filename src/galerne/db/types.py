"""Column types that mean the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Enum, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB

JsonObject = dict[str, Any]

# JSONB on PostgreSQL, text on SQLite. None is NULL, as in any other column.
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


ENUM_LENGTH = 20


def enum_column(kinds: type[StrEnum]) -> Enum:
    """Return the type of a column that holds one of `kinds` by value: text, on both databases."""
    return Enum(
        kinds,
        native_enum=False,
        length=ENUM_LENGTH,
        values_callable=lambda members: [member.value for member in members],
    )


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time. SQLite hands back naive ones; a naive one going in is a bug."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive time was about to be stored; take it from kit.clock")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
