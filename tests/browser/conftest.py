"""A headless Chromium for these tests: the one that `make test` fetches, or another's.

IMGCLS_BROWSER   the path of an executable, in its place
"""

import os
import pathlib
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / ".browser"
AXE = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
NO_BROWSER = "there is no browser: `make .browser/.installed` says why"

Open = Callable[..., Page]


def find_browser() -> pathlib.Path | None:
    named = os.environ.get("IMGCLS_BROWSER")
    path = pathlib.Path(named) if named else FOLDER / "unpacked" / "chromium"
    return path if path.exists() and AXE.exists() else None


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_browser()
    if path is None:
        pytest.skip(NO_BROWSER)
    unpacked = FOLDER / "unpacked"
    variables = {
        "LD_LIBRARY_PATH": str(unpacked / "al2023" / "lib"),
        "FONTCONFIG_FILE": str(unpacked / "fonts.conf"),
    }
    with sync_playwright() as playwright:
        # Its sandbox wants rights that a container or root does not have; it opens our pages only.
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"], env={**os.environ, **variables}
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a file; at the end nothing may have complained, and nothing may have been asked for."""
    complaints: list[str] = []
    requests: list[str] = []
    contexts = []

    def open_it(path: pathlib.Path, width_px: int = 1280, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width_px, "height": 900},
            color_scheme=scheme,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:///", "data:"))] == []
