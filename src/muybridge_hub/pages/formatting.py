"""Formats sizes, counts and times for people."""

from datetime import datetime

from muybridge_hub.database import now

UNITS = ("kB", "MB", "GB", "TB", "PB")
TIME_UNITS = (("year", 365 * 86_400), ("month", 30 * 86_400), ("day", 86_400), ("hour", 3600), ("minute", 60))


def format_size(num_bytes: int) -> str:
    """Formats a number of bytes in decimal units: 1 kB is 1000 bytes."""
    if num_bytes < 1000:
        return f"{num_bytes} B"
    size, units = num_bytes / 1000, iter(UNITS)
    unit = next(units)
    while size >= 999.5 and unit != UNITS[-1]:
        size, unit = size / 1000, next(units)
    return f"{size:.3g} {unit}" if size < 1000 else f"{size:.0f} {unit}"


def format_count(count: int) -> str:
    """Formats a count with three digits and a letter, as is usual for parameters: 86.6 M."""
    for letter, unit in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= 0.9995 * unit:
            return f"{count / unit:.3g} {letter}" if count < 999.5 * unit else f"{count / unit:,.0f} {letter}"
    return str(count)


def format_percent(fraction: float) -> str:
    return f"{100 * fraction:.4g}%"


def format_age(moment: datetime) -> str:
    seconds = (now() - moment).total_seconds()
    for name, seconds_in_unit in TIME_UNITS:
        if seconds >= seconds_in_unit:
            number = int(seconds // seconds_in_unit)
            return f"{number} {name}{'s' if number > 1 else ''} ago"
    return "just now"


def format_timestamp(moment: datetime) -> str:
    return f"{moment:%-d %B %Y, %H:%M} UTC"
