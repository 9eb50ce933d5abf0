"""Why a price list is refused, and what it means that there is none."""

from galerne.rest.errors import Conflict, NotFound, Unprocessable


class PriceListInvalid(Unprocessable):
    """The list does not price every meter once, or prices what there is not."""

    code = "price_list_invalid"


class PriceListOverlap(Conflict):
    """The list would begin before one that stands: two prices for one moment."""

    code = "price_list_overlap"


class PriceListGap(Conflict):
    """The list would begin after the last one's end: no price for a moment between."""

    code = "price_list_gap"


class PriceListRetroactive(Conflict):
    """The list would begin in the past, where use has been rated already."""

    code = "price_list_retroactive"


class PriceListInForce(Conflict):
    """A list that is in force, or was, stays as it is."""

    code = "price_list_in_force"


class PriceListNotFound(NotFound):
    """No such price list."""

    code = "price_list_not_found"


class PriceMissing(NotFound):
    """No list is in force at that time."""

    code = "price_missing"
