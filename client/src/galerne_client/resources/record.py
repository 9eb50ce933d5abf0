"""What is on record: events, residency proofs, usage, and the prices it is rated by."""

from datetime import datetime
from typing import Any

from galerne_client.base import parsed_as
from galerne_client.calls import Call, Stream
from galerne_client.models import Event, GroupBy, PriceList, UsageRecord, UsageSummary
from galerne_client.resource import ExecutorT, Resource, operation, paged, stream


class Events(Resource[ExecutorT]):
    """The append-only log, as far as this key may see it."""

    @stream
    def list(
        self, *, subject_id: str | None = None, kind: str | None = None, rows_max: int | None = None
    ) -> Stream[Event]:
        return paged("/events", Event, rows_max=rows_max, subject_id=subject_id, kind=kind)

    @operation
    def checkpoint(self) -> Call[str]:
        """Return the log's newest signed checkpoint, which anybody may fetch, as its text."""
        return Call(
            method="GET", path="/log/checkpoint", parse=lambda answer: answer.content.decode()
        )


class Proofs(Resource[ExecutorT]):
    """Signed evidence of where a workload ran and under which label."""

    @operation
    def get(self, subject_id: str) -> Call[dict[str, Any]]:
        """Fetch the bundle; `galerne_client.proofs.verify` checks it without the platform."""
        return Call(method="GET", path=f"/proofs/{subject_id}", parse=parsed_as(dict[str, Any]))


class Usage(Resource[ExecutorT]):
    """What was used, what energy it took, what it costs."""

    @stream
    def records(
        self,
        *,
        project: str | None = None,
        workload_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Stream[UsageRecord]:
        """Give every record that an amount is made of, newest first."""
        return paged(
            "/usage/records",
            UsageRecord,
            project=project or self._project,
            workload_id=workload_id,
            since=since.isoformat() if since else None,
            until=until.isoformat() if until else None,
        )

    @operation
    def summary(
        self,
        *,
        group_by: GroupBy = "workload",
        project: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Call[UsageSummary]:
        """Sum up, the dearest groups first; `until` itself is not included."""
        return Call(
            method="GET",
            path="/usage/summary",
            query={
                "project": project or self._project,
                "group_by": group_by,
                "since": since.isoformat() if since else None,
                "until": until.isoformat() if until else None,
            },
            parse=parsed_as(UsageSummary),
        )


class Prices(Resource[ExecutorT]):
    """The price list."""

    @operation
    def current(self) -> Call[PriceList]:
        """Return the list in force now."""
        return Call(method="GET", path="/prices", parse=parsed_as(PriceList))
