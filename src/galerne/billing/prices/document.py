"""Reading a price list from YAML. Strict: what is not understood is refused with its place."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import yaml

from galerne.billing.prices.errors import PriceListInvalid
from galerne.billing.prices.schemas import PriceIn, PriceListIn
from galerne.billing.rating import DEFAULT_SELECTOR, UnitPrice
from galerne.kit.money import NANO_PER_EURO
from galerne.metering.meters import METERS, Meter, Selector

_KEYS = frozenset({"name", "effective_from", "prices"})
_EURO = re.compile(r"^(\d{1,9})(?:\.(\d{1,9}))?$", re.ASCII)
_HINT = 'write each price as text in euro, as "0.018"; see billing/prices/default.yaml'


def read_price_list(text: str) -> PriceListIn:
    """Read a list. Raises `PriceListInvalid`, naming the key."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PriceListInvalid(f"the price list is not YAML: {error}", hint=_HINT) from None
    if not isinstance(document, dict) or document.keys() != _KEYS:
        raise PriceListInvalid(f"a price list has the keys {', '.join(sorted(_KEYS))}", hint=_HINT)
    name, effective_from, prices = (document[k] for k in ("name", "effective_from", "prices"))
    if not isinstance(name, str) or not name:
        raise PriceListInvalid("name: a price list has a name", hint=_HINT)
    if not isinstance(effective_from, datetime):
        raise PriceListInvalid("effective_from: a time in RFC 3339 is needed", hint=_HINT)
    if not isinstance(prices, dict):
        raise PriceListInvalid("prices: a mapping from meter to price is needed", hint=_HINT)
    if effective_from.tzinfo is None:
        raise PriceListInvalid("effective_from: the offset from UTC is missing", hint=_HINT)
    return PriceListIn(name, effective_from.astimezone(UTC), tuple(_prices(prices)))


def parse_euro_nano(text: object) -> int:
    """Read `0.018` as 18,000,000 nano-euro, exactly. Raises ValueError."""
    match = _EURO.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not an amount in euro with at most 9 decimals, as text")
    whole, fraction = match.groups(default="")
    return int(whole) * NANO_PER_EURO + int(fraction.ljust(9, "0"))


def _prices(prices: Mapping[Any, Any]) -> Iterator[PriceIn]:
    for name, stated in prices.items():
        meter = METERS.get(name)
        if meter is None:
            raise PriceListInvalid(
                f"prices.{name}: no such meter", hint=f"the meters are {', '.join(METERS)}"
            )
        for selector, euro in _by_selector(meter, stated).items():
            yield PriceIn(meter.name, selector, _unit_price(meter, selector, euro))


def _by_selector(meter: Meter, stated: object) -> dict[str, object]:
    if not isinstance(stated, dict):
        return {DEFAULT_SELECTOR: stated}
    if meter.selector is Selector.NONE:
        raise PriceListInvalid(f"prices.{meter.name}: has one price", hint=_HINT)
    return {DEFAULT_SELECTOR if key == "default" else str(key): stated[key] for key in stated}


def _unit_price(meter: Meter, selector: str, euro: object) -> UnitPrice:
    try:
        return UnitPrice(parse_euro_nano(euro), meter.scale)
    except ValueError as error:
        place = f"prices.{meter.name}" + (f".{selector}" if selector else "")
        raise PriceListInvalid(f"{place}: {error}", hint=_HINT) from None
