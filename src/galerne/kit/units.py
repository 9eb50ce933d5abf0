"""Sizes and durations as people write them: `4GB`, `512MiB`, `10m`, `1h30m`; always back to integers."""

import re

_SIZE = re.compile(r"^(\d+(?:\.\d{1,6})?)\s*(B|[KMGTP]i?B?)$", re.IGNORECASE)
_DURATION = re.compile(r"^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
DURATION_SECONDS_MAX = 366 * 24 * 3600


def parse_size_bytes(text: str) -> int:
    """Read `4GB` (10⁹) or `4GiB` (2³⁰) as bytes. Raises ValueError with what was expected."""
    match = _SIZE.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write it as 512MB or 4GiB")
    number, unit = match.groups()
    letter = unit.lower().rstrip("b").rstrip("i")
    base = 1024 if "i" in unit.lower() else 1000
    whole, _, fraction = number.partition(".")
    scale: int = base ** _POWERS[letter]
    return int(whole) * scale + (int(fraction) * scale // 10 ** len(fraction) if fraction else 0)


def parse_duration_seconds(text: str) -> int:
    """Read `90s`, `10m`, `1h30m` or `2d` as seconds. Raises ValueError with what was expected."""
    match = _DURATION.match(text.strip())
    if match is None or not any(match.groups()):
        raise ValueError(f"{text!r} is not a duration; write it as 90s, 10m, 1h30m or 2d")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if not 0 < total <= DURATION_SECONDS_MAX:
        raise ValueError(f"{text!r} is outside 1s to 366d")
    return total


def format_bytes(size_bytes: int) -> str:
    """Spell a size in the largest decimal unit that leaves at least one whole unit."""
    value = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} PB"


def format_duration(seconds: float) -> str:
    """Spell a duration with at most two units: `1h 05m`, `2m 30s`, `4s`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, seconds_left = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m {seconds_left:02d}s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours}h {minutes_left:02d}m"
