"""Why a usage record is refused. The rest of its batch is taken all the same."""

from galerne.rest.errors import Conflict, Unprocessable


class UsageConflict(Conflict):
    """A record with this source id is already here and says something else. The first one stands."""

    code = "usage_conflict"

    def __init__(self) -> None:
        super().__init__(
            "a usage record with this source id was recorded before and says something else",
            hint="a record is never changed; send a correction under an id of its own",
        )


class UsageSourceIdInvalid(Unprocessable):
    """The id by which the source names the record is empty, too long or unprintable."""

    code = "usage_source_id_invalid"


class UsageMeterUnknown(Unprocessable):
    """There is no such meter."""

    code = "usage_meter_unknown"


class UsageQuantityNotInteger(Unprocessable):
    """A quantity, energy or carbon figure that is not an integer."""

    code = "usage_quantity_not_integer"


class UsageQuantityNegative(Unprocessable):
    """A quantity, energy or carbon figure below zero."""

    code = "usage_quantity_negative"


class UsageQuantityTooLarge(Unprocessable):
    """A figure that no window of work on Earth can reach."""

    code = "usage_quantity_too_large"


class UsageTimeNaive(Unprocessable):
    """A time without its offset from UTC: it could be any of 38 hours."""

    code = "usage_time_naive"


class UsageWindowReversed(Unprocessable):
    """A window that ended before it started."""

    code = "usage_window_reversed"


class UsageFromTheFuture(Unprocessable):
    """A window that ends later than clocks may disagree."""

    code = "usage_from_the_future"


class UsageSelectorMissing(Unprocessable):
    """The meter's price depends on the model or accelerator type, and the record names none."""

    code = "usage_selector_missing"


class UsageTextInvalid(Unprocessable):
    """An id or a name that does not fit its column, or holds what cannot be printed."""

    code = "usage_text_invalid"
