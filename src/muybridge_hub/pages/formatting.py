"""Sizes, counts and times in words for people."""

from datetime import datetime

from muybridge_hub.database import now

UNITS = ("kB", "MB", "GB", "TB", "PB")
SPANS = (("year", 365 * 86_400), ("month", 30 * 86_400), ("day", 86_400), ("hour", 3600), ("minute", 60))


def format_size(num_bytes: int) -> str:
    """As disks are sold: a kB has 1000 bytes."""
    if num_bytes < 1000:
        return f"{num_bytes} B"
    size, units = num_bytes / 1000, iter(UNITS)
    unit = next(units)
    while size >= 999.5 and unit != UNITS[-1]:
        size, unit = size / 1000, next(units)
    return f"{size:.3g} {unit}" if size < 1000 else f"{size:.0f} {unit}"


def format_count(count: int) -> str:
    """Three digits and a letter, as one speaks of the parameters of a network."""
    for letter, unit in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= 0.9995 * unit:
            return f"{count / unit:.3g} {letter}" if count < 999.5 * unit else f"{count / unit:,.0f} {letter}"
    return str(count)


def format_share(share: float) -> str:
    return f"{100 * share:.4g}%"


def format_age(moment: datetime) -> str:
    seconds = (now() - moment).total_seconds()
    for name, span in SPANS:
        if seconds >= span:
            number = int(seconds // span)
            return f"{number} {name}{'s' if number > 1 else ''} ago"
    return "just now"


def format_moment(moment: datetime) -> str:
    return f"{moment:%-d %B %Y, %H:%M} UTC"
