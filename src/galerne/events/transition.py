"""The sole writer of lifecycle states. A change of state and its log entry are one."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.db.types import JsonObject
from galerne.events.emit import emit

Transitions = Mapping[tuple[Any, str], Any]


class Stateful(Protocol):
    """A row with a lifecycle. `transitions` is the table of its noun's `states.py`."""

    kind: ClassVar[str]
    transitions: ClassVar[Transitions]
    state: Any
    id: Any
    organization_id: Any
    project_id: Any


class IllegalTransition(Exception):  # noqa: N818 - names the condition
    """A verb that the table does not allow from this state. Always a bug of the caller."""


def next_state(transitions: Transitions, state: StrEnum, verb: str) -> StrEnum:
    """Look the verb up. Raises `IllegalTransition`."""
    try:
        found = transitions[state, verb]
    except KeyError:
        raise IllegalTransition(f"{verb!r} is not possible from {state.value!r}") from None
    assert isinstance(found, StrEnum)
    return found


def transition(
    session: AsyncSession,
    row: Stateful,
    verb: str,
    *,
    actor: str,
    at: datetime,
    data: JsonObject | None = None,
) -> None:
    """Move `row` along its table and write that down."""
    before: StrEnum = row.state
    after = next_state(row.transitions, before, verb)
    row.state = after
    emit(
        session,
        f"{row.kind}.{after.value}",
        subject_id=row.id,
        organization_id=row.organization_id,
        project_id=row.project_id,
        actor=actor,
        data={"from": before.value, "verb": verb, **(data or {})},
        at=at,
    )
