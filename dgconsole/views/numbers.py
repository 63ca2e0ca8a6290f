"""Numbers for people: thousands separators, units always, nothing more exact than it is known."""

import math
import time

_PREFIXES = ("", "k", "M", "G", "T", "P", "E")


def _scaled(value: float) -> tuple[str, str]:
    """Three significant digits and the decimal prefix."""
    step = 0
    while abs(value) >= 999.5 and step < len(_PREFIXES) - 1:
        value /= 1000.0
        step += 1
    if step == 0:
        return f"{value:.0f}", ""
    return (f"{value:.1f}" if abs(value) < 99.95 else f"{value:.0f}"), _PREFIXES[step]


def count(value: int) -> str:
    """``127,902``."""
    return f"{value:,}"


def short(value: float) -> str:
    """``312 k``, ``1.9 M``; below a thousand the plain number."""
    digits, prefix = _scaled(value)
    return f"{digits} {prefix}" if prefix else digits


def size(value: float) -> str:
    """Bytes in decimal units: ``34.2 MB``, ``512 B``."""
    digits, prefix = _scaled(value)
    return f"{digits} {prefix}B"


def chunk_rate(per_second: float) -> str:
    """``24.1 chunks/s``; slow ones by the minute or hour, so that the figure says something."""
    if per_second <= 0:
        return "0 chunks/s"
    value, unit = per_second, "s"
    if value < 1.0:
        value, unit = per_second * 60.0, "min"
    if value < 1.0:
        value, unit = per_second * 3600.0, "h"
    return f"{value:.1f} chunks/{unit}" if value < 999.95 else f"{short(value)} chunks/{unit}"


def percent(done: int, total: int) -> str:
    """``12.5 %``, rounded down so that 100.0 % means all of them."""
    tenths = 1000 * done // total if total else 0
    return f"{tenths // 10}.{tenths % 10} %"


def clock(seconds: float) -> str:
    """A running time: ``00:12:41``, ``2 d 03:12:41``."""
    whole = max(int(seconds), 0)
    days, rest = divmod(whole, 86_400)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days} d {text}" if days else text


def about(seconds: float) -> str:
    """A time span in its two largest units: ``41 s``, ``4 min``, ``1 h 05 min``, ``2 d 3 h``."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole // 60 % 60:02} min"
    return f"{whole // 86_400} d {whole // 3600 % 24} h"


def ago(seconds: float | None) -> str:
    """How long since the last word: ``now`` within two seconds, ``never`` without one."""
    if seconds is None:
        return "never"
    return "now" if seconds < 2.0 else about(seconds)


def exact(seconds: float) -> str:
    """A measured duration: ``0.42 s``, ``12.3 s``, ``4 min 07 s``."""
    if seconds < 10.0:
        return f"{seconds:.2f} s"
    if seconds < 120.0:
        return f"{seconds:.1f} s"
    if seconds < 3600.0:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"
    return about(seconds)


def local_time(wall: float) -> str:
    """Local time of day of epoch seconds: ``14:03:22``."""
    return time.strftime("%H:%M:%S", time.localtime(wall))


def local_date(wall: float) -> str:
    """Local date and time of epoch seconds: ``2026-11-24 14:03:22``."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(wall))


def degrees(value: float) -> str:
    """``+12.3456°``-like without the sign for right ascension: four decimals are a third of an arc second."""
    return f"{value:.4f}°"


_STEPS = ((120, 10), (600, 60), (3600, 300), (21_600, 600), (86_400, 1800), (math.inf, 3600))


def between(low: float, high: float) -> str:
    """An interval of seconds, rounded outward to what can be known: ``10 to 15 min``, ``1 h 05 to 1 h 20 min``."""
    step = next(step for limit, step in _STEPS if high < limit)
    low = math.floor(low / step) * step
    high = max(math.ceil(high / step) * step, step)
    if high <= 20:
        return "a few seconds"
    if low <= 0:
        return f"under {about(high)}"
    if high <= 120:
        return f"{low:.0f} to {high:.0f} s"
    first, last = about(low), about(high)
    if first == last:
        return first
    for unit in (" s", " min"):
        if first.endswith(unit) and last.endswith(unit) and (" h " in first) == (" h " in last):
            first = first.removesuffix(unit)
    return f"{first} to {last}"
