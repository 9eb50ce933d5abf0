"""Whether a usage record can be true. Pure: looks at the record and the time, at nothing stored."""

from datetime import datetime, timedelta

from galerne.db.base import ID_LENGTH
from galerne.metering.meters import METERS, Selector
from galerne.metering.usage.errors import (
    UsageFromTheFuture,
    UsageMeterUnknown,
    UsageQuantityNegative,
    UsageQuantityNotInteger,
    UsageQuantityTooLarge,
    UsageSelectorMissing,
    UsageSourceIdInvalid,
    UsageTextInvalid,
    UsageTimeNaive,
    UsageWindowReversed,
)
from galerne.metering.usage.models import NAME_LENGTH_MAX, SOURCE_ID_LENGTH_MAX
from galerne.metering.usage.schemas import UsageRecordIn
from galerne.rest.errors import GalerneError

# Integers beyond 2^53 lose their last digits in most JSON readers.
QUANTITY_MAX = 2**53
CLOCK_SKEW_SECONDS_MAX = 300


def problem(record: UsageRecordIn, *, now: datetime) -> GalerneError | None:
    """Return the first thing that cannot be true of `record`, or None."""
    return (
        _problem_of_names(record)
        or _problem_of_figures(record)
        or _problem_of_window(record, now=now)
    )


def _problem_of_names(record: UsageRecordIn) -> GalerneError | None:
    source_id = record.source_id
    if not 0 < len(source_id) <= SOURCE_ID_LENGTH_MAX or not source_id.isprintable():
        return UsageSourceIdInvalid(
            f"a source id has 1 to {SOURCE_ID_LENGTH_MAX} printable characters",
            hint="use the id of the request, or of the attempt and the window",
        )
    meter = METERS.get(record.meter)
    if meter is None:
        return UsageMeterUnknown(
            f"there is no meter {record.meter!r}", hint=f"the meters are {', '.join(METERS)}"
        )
    if meter.selector is not Selector.NONE and getattr(record, meter.selector) is None:
        return UsageSelectorMissing(
            f"the meter {meter.name} needs its {meter.selector}",
            hint="its price depends on it; name it in the record",
        )
    return _problem_of_texts(record)


def _problem_of_texts(record: UsageRecordIn) -> GalerneError | None:
    ids = (
        record.organization_id,
        record.project_id,
        record.workload_id,
        record.workload_kind,
        record.site_id or "",
        record.key_id or "",
    )
    names = (record.model or "", record.accelerator_type or "")
    fits = max(map(len, ids)) <= ID_LENGTH and max(map(len, names)) <= NAME_LENGTH_MAX
    if fits and "".join((*ids, *names)).isprintable():
        return None
    return UsageTextInvalid(
        "an id or a name in the record is too long, or cannot be printed",
        hint=f"ids have at most {ID_LENGTH} characters, names at most {NAME_LENGTH_MAX}",
    )


def _problem_of_figures(record: UsageRecordIn) -> GalerneError | None:
    for name, figure in (
        ("quantity", record.quantity),
        ("energy_microwatt_hours", record.energy_microwatt_hours or 0),
        ("carbon_micrograms", record.carbon_micrograms or 0),
    ):
        if type(figure) is not int:
            return UsageQuantityNotInteger(
                f"{name} is not an integer", hint="quantities are integers in the meter's unit"
            )
        if figure < 0:
            return UsageQuantityNegative(
                f"{name} is {figure}", hint="use is never negative; corrections are new records"
            )
        if figure > QUANTITY_MAX:
            return UsageQuantityTooLarge(
                f"{name} is {figure}, beyond {QUANTITY_MAX}",
                hint="look at the counter that it was read from, and at its unit",
            )
    return None


def _problem_of_window(record: UsageRecordIn, *, now: datetime) -> GalerneError | None:
    started_at, ended_at = record.started_at, record.ended_at
    if started_at.tzinfo is None or ended_at.tzinfo is None:
        return UsageTimeNaive("a time has no offset from UTC", hint="write times as RFC 3339")
    if ended_at < started_at:
        return UsageWindowReversed(
            f"the window ended at {ended_at.isoformat()}, before it started",
            hint="look at the clock of the node that sent it",
        )
    if ended_at > now + timedelta(seconds=CLOCK_SKEW_SECONDS_MAX):
        return UsageFromTheFuture(
            f"the window ends at {ended_at.isoformat()}; now is {now.isoformat()}",
            hint=f"clocks may differ by {CLOCK_SKEW_SECONDS_MAX} s; set the node's clock",
        )
    return None
