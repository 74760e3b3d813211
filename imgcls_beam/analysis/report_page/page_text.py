"""Text and numbers on their way into a page.

URIs and labels are other people's text. What would not be seen, or would turn the line around it
(control characters, marks of direction, spaces without width), is shown as its escape.
"""

import datetime

LABEL_CHARS = 120
"""Of a label in a page, at the most."""
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def make_visible(text: str) -> str:
    r"""The text, in which each character that does not print is its escape, such as `\u202e`."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def cut_middle(text: str, most: int) -> str:
    """The text; of a longer one its beginning and its end, `most` characters in all."""
    if len(text) <= most:
        return text
    kept = most - 1
    return f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"


def name_of(uri: str) -> str:
    """The last component of a URI: of a file, or of a member of an archive."""
    name = uri.rstrip("/").replace("::", "/").rpartition("/")[2]
    return name or uri


def spell_ratio(part: float, whole: float) -> str:
    """A share in percent; one that is not 0 never reads as 0."""
    if not whole or not part:
        return "0 %"
    percent = 100 * part / whole
    return "< 0.1 %" if percent < 0.1 else f"{percent:.1f} %"


def spell_score(score: float, *, is_probability: bool) -> str:
    """A probability in percent; any other score is a plain number, also between 0 and 1."""
    return f"{100 * score:.1f} %" if is_probability else f"{score:.3f}"


def spell_bytes(size: float) -> str:
    """A number of bytes in the unit that fits."""
    power = 0
    while size >= 1000 and power < len(_UNITS) - 1:
        size, power = size / 1000, power + 1
    return f"{size:,.{int(power > 0)}f} {_UNITS[power]}"


def spell_time(time: datetime.datetime | None) -> str:
    """A time in UTC, to the minute; empty where there is none."""
    return "" if time is None else f"{time.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"


def spell_duration(seconds: float) -> str:
    """A duration in the two largest units that fit."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
