"""Quantities as people read them: euro, energy, carbon, sizes, durations, ages, labels."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from galerne_client.models import Label

NANO_PER_EURO = 1_000_000_000
SIGNIFICANT_DIGITS = 3


def euro(nano: int) -> str:
    """Spell nano-euro exactly enough: cents from 1 € on, three significant digits below.

    >>> euro(1_250_000_000), euro(4_217_000), euro(0)
    ('1.25 €', '0.00422 €', '0.00 €')
    """
    sign, nano = ("-", -nano) if nano < 0 else ("", nano)
    decimals = 2
    if 0 < nano < NANO_PER_EURO:
        decimals = min(9, max(2, 9 - len(str(nano)) + SIGNIFICANT_DIGITS))
    step = 10 ** (9 - decimals)
    whole, fraction = divmod((nano + step // 2) // step, 10**decimals)
    digits = f"{fraction:0{decimals}d}"
    return f"{sign}{whole:,}.{digits[:2]}{digits[2:].rstrip('0')} €"


def energy(watt_hours: float, method: str | None = None) -> str:
    """Spell energy with its method.

    >>> energy(0.4213, "estimated"), energy(1250), energy(0.000036)
    ('0.42 Wh (estimated)', '1.25 kWh', '36 µWh')
    """
    text = scaled(watt_hours, "Wh")
    return f"{text} ({method})" if method else text


def power(watts: int) -> str:
    """Spell power.

    >>> power(350), power(132_000), power(39_600_000)
    ('350 W', '132 kW', '39.6 MW')
    """
    for unit, size_ in (("MW", 1_000_000), ("kW", 1_000)):
        if watts >= size_:
            return f"{watts / size_:.3g} {unit}"
    return f"{watts} W"


def carbon(grams: float) -> str:
    """Spell a mass of CO₂ equivalent.

    >>> carbon(0.0173), carbon(41_400), carbon(2_500_000)
    ('17.3 mgCO₂e', '41.4 kgCO₂e', '2.5 tCO₂e')
    """
    if grams >= 1_000_000:
        return f"{figure(grams / 1_000_000)} tCO₂e"
    return scaled(grams, "gCO₂e")


_PREFIXES = (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 0.1), ("m", 1e-4), ("µ", 0.0))
_SIZES = {"G": 1e9, "M": 1e6, "k": 1e3, "": 1.0, "m": 1e-3, "µ": 1e-6}


def scaled(value: float, unit: str) -> str:
    """Spell a quantity with the prefix that keeps it short; a tenth still goes without one.

    >>> scaled(0.42, "Wh"), scaled(0.0421, "Wh"), scaled(0, "Wh")
    ('0.42 Wh', '42.1 mWh', '0 Wh')
    """
    if value == 0:
        return f"0 {unit}"
    prefix = next(prefix for prefix, least in _PREFIXES if value >= least)
    return f"{figure(value / _SIZES[prefix])} {prefix}{unit}"


def figure(value: float) -> str:
    """Spell a quantity with two decimals, or fewer where they would say nothing.

    >>> figure(20), figure(12.345), figure(41.4)
    ('20', '12.35', '41.4')
    """
    text = f"{value:.2f}"
    return text.rstrip("0").rstrip(".") if value >= 1 else text


def size(size_bytes: int) -> str:
    """Spell a size in decimal units.

    >>> size(999), size(25_400_000_000)
    ('999 B', '25.4 GB')
    """
    if size_bytes < 1000:
        return f"{size_bytes} B"
    value = float(size_bytes)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} PB"


def duration(seconds: float) -> str:
    """Spell a duration with at most two units.

    >>> duration(4.2), duration(150), duration(3900), duration(200_000)
    ('4s', '2m 30s', '1h 05m', '2d 07h')
    """
    whole = round(seconds)
    minutes, seconds_left = divmod(whole, 60)
    hours, minutes_left = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days}d {hours_left:02d}h"
    if hours:
        return f"{hours}h {minutes_left:02d}m"
    return f"{minutes}m {seconds_left:02d}s" if minutes else f"{whole}s"


def present() -> datetime:
    """Return the wall time, for ages on the screen only."""
    return datetime.now(UTC)  # noqa: TID251 - the client's one look at the clock


def age(since: datetime | None, until: datetime | None = None) -> str:
    """Spell how long ago, or how long it lasted."""
    if since is None:
        return "-"
    return duration(max(((until or present()) - since).total_seconds(), 0))


def cores(cpu_millis: int) -> str:
    return f"{cpu_millis / 1000:g}"


def count(number: int) -> str:
    return f"{number:,}"


def label(given: Mapping[str, Any] | Label) -> str:
    """Spell a residency label.

    >>> label({"residency": ["FR"], "certifications": ["HDS"], "operator_not_subject_to": []})
    'FR, HDS'
    """
    fields = given.model_dump() if isinstance(given, Label) else given
    places: Sequence[str] = fields.get("residency") or ()
    zone = {27: "EU", 30: "EEA"}.get(len(places))
    parts = [zone or ", ".join(places) or "nowhere"]
    parts += [f"not under {country} law" for country in fields.get("operator_not_subject_to") or ()]
    parts += list(fields.get("certifications") or ())
    return ", ".join(parts)
