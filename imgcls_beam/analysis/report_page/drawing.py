"""Facts and pictures → one HTML file, which fetches nothing when it is opened.

The page's policy allows pictures that are in it, and this one style and script by their digests, so
that no text of a row can run or ask for anything, whatever it holds.
"""

import base64
import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from imgcls_beam.analysis.report_page.page_data import add_problems, make_page_data
from imgcls_beam.analysis.report_page.page_facts import PageImages, Pictures, ReportFacts
from imgcls_beam.analysis.report_page.page_values import list_values
from imgcls_beam.library_versions import find_versions

if TYPE_CHECKING:
    import jinja2

_HERE = pathlib.Path(__file__).parent
_PAGE = _HERE / "page.html"
_SHARED = ("shell.html", "parts.html")


@dataclasses.dataclass(frozen=True, slots=True)
class Draft:
    """A page that lacks nothing but its pictures.

    Attributes:
        template: by which it is drawn.
        values: what that names.
        data: what its script works on, see `make_page_data`.
    """

    template: "jinja2.Template"
    values: Mapping[str, Any]
    data: Mapping[str, Any]


def draw_page(facts: ReportFacts, pictures: Pictures) -> str:
    """Draws the report.

    Args:
        facts: of the run.
        pictures: by the image's index in `facts.images`.

    Returns:
        The text of an HTML file, of which every text of the run is escaped.
    """
    return finish_page(draft_page(facts), pictures)


def draft_page(facts: ReportFacts) -> Draft:
    """All that can be done for a report before its pictures are there."""
    return _draft(_PAGE, list_values(facts), facts)


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
    return finish_page(_draft(template, values, images), pictures)


def _draft(template: pathlib.Path, values: Mapping[str, Any], images: PageImages) -> Draft:
    return Draft(_load_template(template), values, make_page_data(images))


def finish_page(draft: Draft, pictures: Pictures) -> str:
    """Draws a page of which everything else is known."""
    from markupsafe import Markup

    style, script = _read("page.css"), _read("page.js")
    return draft.template.render(
        **draft.values,
        pictures=pictures,
        drawn=_Drawn(),
        data=add_problems(draft.data, pictures),
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
def _load_template(path: pathlib.Path) -> "jinja2.Template":
    import jinja2  # only now: to load it and to compile takes 0.1 s, while pictures are drawn

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
