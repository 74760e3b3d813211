"""What another library says of its error, as far as it may stand in a message of ours."""

import re

_MAX_CHARS = 300
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-_])|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|\n+|;\s")
_UNSAFE = (
    r"\b(?:True|False)\b|\b(?:set(?:ting)?|pass(?:ing)?|disable|allow\w*|trust\w*|unsafe|untrusted"
    r"|weights_only|add_safe_globals)\b"
)
_ADVICE = re.compile(
    rf"{_UNSAFE}|\b(?:re-?run(?:ning)?|use|using|try|install|upgrade|please)\b", re.IGNORECASE
)
"""Words of a sentence that tells somebody what to do. Such advice is made for those who call the
library, and much of it is to switch a safety off: nobody but us passes its arguments."""
_ADVICE_OF_IMPORTS = re.compile(_UNSAFE, re.IGNORECASE)
"""The same where a package is missing, which whoever runs this can install."""


def describe_reason(error: BaseException) -> str:
    """The first sentence of an error that says what is wrong, and not what to do about it.

    Returns:
        One line without escape sequences; the error's class where no sentence is left.
    """
    advice = _ADVICE_OF_IMPORTS if isinstance(error, ImportError) else _ADVICE
    text = _ESCAPES.sub("", str(error)).strip()
    for sentence in _SENTENCE_ENDS.split(text):
        plain = " ".join(sentence.split()).rstrip(".:")
        if plain and not advice.search(plain):
            return plain if len(plain) <= _MAX_CHARS else f"{plain[:_MAX_CHARS]} …"
    return type(error).__name__
