"""Checks of single values: each gives back what it was given, or raises `ConfigError`."""

import codecs
import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence

from imgcls_beam.errors import ConfigError
from imgcls_beam.masking import has_secret_user, mask_uri

SCHEMES = ("file", "local", "gs", "gcs", "s3", "s3a", "az", "abfs", "abfss", "hf", "memory")
"""What may be read and written without being asked for: stores, and no web addresses."""

KEEP_BYTES = "imgcls.keep"
"""How text is decoded in which some bytes may not be of its encoding: they are kept, a character
from U+DC00 to U+DCFF each, whatever the encoding is."""
_SIMILAR_RATIO = 0.6
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def scheme_of(url: str) -> str:
    """The scheme of a URL, `file` for a plain path."""
    match = _SCHEME.match(url)
    return match.group(1).lower() if match else "file"


def is_scheme_allowed(scheme: str, allow_schemes: tuple[str, ...]) -> bool:
    """Whether a scheme, in small letters, may be used: a store's, or one that was asked for."""
    return scheme in SCHEMES or scheme in map(str.lower, allow_schemes)


def check_text(option: str, value: object) -> str:
    """Returns a text that is neither empty nor holds control characters.

    Raises:
        ConfigError: anything else.
    """
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(option, value, "give a text that is not empty")
    if any(unicodedata.category(character) == "Cc" for character in value):
        raise ConfigError(option, value, "control characters are not allowed")
    return value


def check_url(option: str, value: object, allow_schemes: tuple[str, ...]) -> str:
    """Returns a path or URL whose scheme may be used.

    Raises:
        ConfigError: empty, a control character, or a scheme that is not allow-listed.
    """
    url = check_text(option, value)
    scheme = scheme_of(url)
    if has_secret_user(url):
        problem = "a user or a password in a URL would stand in every row; set credentials"
        raise ConfigError(option, url, f"{problem} by the environment")
    if mask_uri(url) != url:
        problem = "a signed URL would stand in the run record; name it in a manifest"
        raise ConfigError(option, url, problem)
    if not is_scheme_allowed(scheme, allow_schemes):
        known = ", ".join(SCHEMES)
        raise ConfigError(option, url, f"its scheme is not allowed; allowed: a path, or {known}")
    return url


def check_encoding(option: str, value: object) -> str:
    """Returns the name of an encoding in which text is read with `KEEP_BYTES`.

    Raises:
        ConfigError: Python knows none of this name, or decodes names of hosts with it alone.
    """
    name = check_text(option, value)
    try:
        "a".encode(name).decode(name, KEEP_BYTES)
    except (LookupError, UnicodeError) as error:
        problem = "allowed: an encoding by its name in Python, such as cp1252 or utf-16-le"
        raise ConfigError(option, value, problem) from error
    return name


def check_choice(option: str, value: str, choices: tuple[str, ...]) -> str:
    """Returns a value that is one of the choices.

    Raises:
        ConfigError: anything else.
    """
    if value not in choices:
        raise ConfigError(option, value, f"allowed: {', '.join(choices)}")
    return value


def check_count(option: str, value: object) -> int:
    """Returns an integer of 1 or more.

    Raises:
        ConfigError: anything else, booleans included.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(option, value, "allowed: an integer of 1 or more")
    return value


def check_number(option: str, value: object, low: float, high: float) -> float:
    """Returns a number from low to high, both included.

    Raises:
        ConfigError: anything else, booleans and NaN included.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(option, value, f"allowed: {low:g} to {high:g}")
    return value


def check_names(given: Mapping[str, object], known: Sequence[str]) -> None:
    """Checks the names of keywords.

    Raises:
        ConfigError: one is not known; the message has the known one that is most like it.
    """
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, _SIMILAR_RATIO)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise ConfigError(name, value, f"there is no such option; {advice}")


def check_type(option: str, value: object, kinds: type | tuple[type, ...], allowed: str) -> None:
    """Checks the type of a value; `allowed` says in words what `kinds` are.

    Raises:
        ConfigError: it is of another type.
    """
    if not isinstance(value, kinds):
        raise ConfigError(option, value, f"it is {type(value).__name__}; give {allowed}")


def _keep(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    kept = error.object[error.start : error.end]
    return "".join(chr(0xDC00 + byte) for byte in kept), error.end


codecs.register_error(KEEP_BYTES, _keep)
