"""Facts and pictures → one HTML file, which fetches nothing when it is opened.

The page's policy allows pictures that are in it, and this one style and script by their digests, so
that no text of a row can run or ask for anything, whatever it holds.
"""

import base64
import functools
import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from imgcls_beam.analysis.report_page.page_data import make_page_data
from imgcls_beam.analysis.report_page.page_facts import PageImages, Pictures, ReportFacts
from imgcls_beam.analysis.report_page.page_values import list_values
from imgcls_beam.library_versions import find_versions

_HERE = pathlib.Path(__file__).parent
_PAGE = _HERE / "page.html"
_SHARED = ("shell.html", "parts.html")


def draw_page(facts: ReportFacts, pictures: Pictures) -> str:
    """Draws the report.

    Args:
        facts: of the run.
        pictures: by the image's index in `facts.images`.

    Returns:
        The text of an HTML file, of which every text of the run is escaped.
    """
    return draw(_PAGE, list_values(facts), facts, pictures)


def load_templates() -> None:
    """Compiles what `draw_page` draws by, once in a process."""
    _load_template(_PAGE)


def draw(
    template: pathlib.Path,
    values: Mapping[str, Any],
    images: PageImages,
    pictures: Pictures,
) -> str:
    """Draws a page.

    Args:
        template: a file that extends `shell.html`.
        values: what it names.
        images: of the page.
        pictures: by the image's index in it.

    Returns:
        The text of an HTML file, of which every text is escaped.
    """
    style, script = _read("page.css"), _read("page.js")
    return _load_template(template).render(
        **values,
        pictures=pictures,
        drawn=_Drawn(),
        data=make_page_data(images, pictures),
        css=Markup(style),
        js=Markup(script),
        policy=_make_policy(style, script),
        version=find_versions()["imgcls_beam"],
    )


class _Drawn:
    """Which pictures are in the page by now: each is in it once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def add(self, index: int) -> bool:
        """Whether it is the first time."""
        is_new = index not in self._seen
        self._seen.add(index)
        return is_new


@functools.cache
def _load_template(path: pathlib.Path) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([path.parent, _HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}
    for name in _SHARED:
        environment.get_template(name)
    return environment.get_template(path.name)


@functools.cache
def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _make_policy(style: str, script: str) -> str:
    """A content security policy: no network, no form, and no script or style but these."""
    allowed = (
        "default-src 'none'",
        "img-src data:",
        f"style-src {_digest(style)}",
        f"script-src {_digest(script)}",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(allowed)


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
