"""Windows of use: whatever is seen, and wherever a transaction is lost, all is sent and nothing twice."""

import copy
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.compute.windows import TOPIC, WINDOW_SECONDS, meter
from galerne.drivers.base import EnergyMethod, Exit, ExitCause, Observation, Phase, Usage
from galerne.worker.outbox import OutboxRow

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
COUNTERS = ("cpu_nanoseconds", "memory_byte_seconds", "accelerator_milliseconds")


@dataclass
class Sent:
    """Stands for a session: keeps what is added."""

    rows: list[OutboxRow] = field(default_factory=list)

    def add(self, row: OutboxRow) -> None:
        self.rows.append(row)

    @property
    def payloads(self) -> list[dict[str, Any]]:
        return [row.payload for row in self.rows]


def attempt() -> SimpleNamespace:
    return SimpleNamespace(
        id="att_1",
        organization_id="org_1",
        project_id="prj_1",
        site_id="sit_1",
        started_at=START,
        cpu_nanoseconds=0,
        memory_byte_seconds=0,
        memory_peak_bytes=0,
        accelerator_milliseconds=0,
        energy_microjoules=None,
        metered_at=None,
        metered_windows=0,
    )


def look(sent: Sent, row: SimpleNamespace, seen: Observation, *, at: datetime) -> None:
    meter(
        cast("AsyncSession", sent),
        row,
        seen,
        workload_id="job_1",
        workload_kind="job",
        accelerator_type=None,
        label={},
        now=at,
    )


@dataclass(frozen=True)
class Look:
    """One observation: how long after the last, what the counters have gained, whether it was kept."""

    after_seconds: int
    gained: tuple[int, int, int, int]
    meter_silent: bool
    committed: bool


looks = st.lists(
    st.builds(
        Look,
        after_seconds=st.integers(0, 200),
        gained=st.tuples(*[st.integers(0, 10**12)] * 4),
        meter_silent=st.booleans(),
        committed=st.booleans(),
    ),
    min_size=1,
    max_size=15,
)


@given(looks, st.booleans())
def test_all_use_is_sent_once(seen: list[Look], has_meter: bool) -> None:
    """Over any observations and lost transactions the windows add up to the engine's own counters."""
    sent, row, at = Sent(), attempt(), START
    totals = [0, 0, 0, 0]
    for one in seen:
        at += timedelta(seconds=one.after_seconds)
        totals = [total + gain for total, gain in zip(totals, one.gained, strict=True)]
        use = usage(totals, has_meter=has_meter and not one.meter_silent)
        before = copy.copy(row), list(sent.rows)
        look(sent, row, Observation(Phase.RUNNING, started_at=START, usage=use), at=at)
        if not one.committed:
            row, sent.rows = before
    ended = Observation(
        Phase.ENDED,
        started_at=START,
        ended_at=at,
        usage=usage(totals, has_meter=has_meter),
        exit=Exit(ExitCause.COMPLETED, 0),
    )
    for _ in range(2):  # Seen twice, as after a crash.
        look(sent, row, ended, at=at + timedelta(seconds=5))

    for number, name in enumerate(COUNTERS):
        assert sum(payload[name] for payload in sent.payloads) == totals[number]
        assert getattr(row, name) == totals[number]
    energies = [payload["energy_microjoules"] or 0 for payload in sent.payloads]
    assert sum(energies) == (totals[3] if has_meter else 0)
    assert len({payload["source_id"] for payload in sent.payloads}) == len(sent.rows)
    assert {row.topic for row in sent.rows} <= {TOPIC}


@given(looks)
def test_windows_follow_one_another(seen: list[Look]) -> None:
    """No two windows overlap, none is negative, and none but the last is shorter than its minute."""
    sent, row, at, total = Sent(), attempt(), START, 0
    for one in seen:
        at += timedelta(seconds=one.after_seconds)
        total += one.gained[0]
        use = Usage(cpu_nanoseconds=total)
        look(sent, row, Observation(Phase.RUNNING, started_at=START, usage=use), at=at)

    windows = [
        (datetime.fromisoformat(p["started_at"]), datetime.fromisoformat(p["ended_at"]))
        for p in sent.payloads
    ]
    assert all(end - begin >= timedelta(seconds=WINDOW_SECONDS) for begin, end in windows)
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(windows))


def test_counters_that_go_back_are_not_billed_again() -> None:
    """An engine that was reset and counts from nothing sends no use that was sent before."""
    sent, row = Sent(), attempt()
    for minute, total in ((1, 500), (2, 20), (3, 600)):
        at = START + timedelta(minutes=minute)
        use = Usage(cpu_nanoseconds=total)
        look(sent, row, Observation(Phase.RUNNING, started_at=START, usage=use), at=at)

    assert [payload["cpu_nanoseconds"] for payload in sent.payloads] == [500, 100]


def test_what_never_ran_is_not_metered() -> None:
    """A launch that failed before its start leaves no record."""
    sent, row = Sent(), attempt()
    row.started_at = None
    failed = Observation(Phase.ENDED, ended_at=START, exit=Exit(ExitCause.LAUNCH_FAILED))

    look(sent, row, failed, at=START)

    assert sent.rows == []


def usage(totals: list[int], *, has_meter: bool) -> Usage:
    return Usage(
        cpu_nanoseconds=totals[0],
        memory_byte_seconds=totals[1],
        accelerator_milliseconds=totals[2],
        energy_microjoules=totals[3] if has_meter else None,
        energy_method=EnergyMethod.MEASURED if has_meter else None,
    )
