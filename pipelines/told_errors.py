"""What an error of a run says, from whatever runners and worker processes make of it.

A worker's error reaches the program as text: with its traceback, the name of its class, and the
step in which it was raised, which Beam writes into the middle of its first argument.
"""

import re
from collections.abc import Iterator

from imgcls_beam.errors import ImgclsError

_NO_REASON = "no reason given"
_WHERE = re.compile(r" \[while running '[^\]]*'\]")
_NAMED = re.compile(r"^(?:RuntimeError: )?(?:\w+\.)*(?P<name>[A-Z]\w*): (?P<sentence>.+)$")
"""The last line of a traceback."""
_OF_ENGINES = {
    "SDK worker disconnected": "a worker process was killed, or ended by itself",
    "didn't get control connection": "no worker process has come to work for the job",
}
"""What Prism says of workers, in words of ours."""


def describe_error(error: BaseException) -> str:
    """One sentence; ours as it is, that of another library with the name of its class."""
    text = _WHERE.sub("", str(error)).strip()
    if isinstance(error, ImgclsError):
        return text
    own = {each.__name__ for each in _list_own(ImgclsError)}
    for words, sentence in _OF_ENGINES.items():
        if words in text and "Traceback" not in text:
            return sentence
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [found for line in lines if (found := _NAMED.match(line))]
    for found in reversed(named):
        if found["name"] in own:
            return found["sentence"]
    if len(lines) > 1 and named:  # a traceback, and what may follow it
        return f"{named[-1]['name']}: {named[-1]['sentence']}"
    return f"{type(error).__name__}: {lines[-1] if lines else _NO_REASON}"


def is_kind(error: BaseException, kind: type[ImgclsError]) -> bool:
    """Whether it is of this kind, or the text of a worker's error that is."""
    lines = map(str.strip, str(error).splitlines())
    named = {found["name"] for line in lines if (found := _NAMED.match(line))}
    return isinstance(error, kind) or kind.__name__ in named


def _list_own(kind: type[ImgclsError]) -> Iterator[type[ImgclsError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _list_own(each)
