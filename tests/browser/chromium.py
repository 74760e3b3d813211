"""The headless Chromium of these tests: the one that `make test` fetches, or another's.

IMGCLS_BROWSER   the path of an executable, in its place
"""

import os
import pathlib

from playwright.sync_api import Browser, Playwright

FOLDER = pathlib.Path(__file__).parents[2] / ".browser"
AXE = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
NO_BROWSER = "there is no browser: `make .browser/.installed` says why"


def find_browser() -> pathlib.Path | None:
    named = os.environ.get("IMGCLS_BROWSER")
    path = pathlib.Path(named) if named else FOLDER / "unpacked" / "chromium"
    return path if path.exists() and AXE.exists() else None


def launch(playwright: Playwright, path: pathlib.Path) -> Browser:
    unpacked = FOLDER / "unpacked"
    variables = {
        "LD_LIBRARY_PATH": str(unpacked / "al2023" / "lib"),
        "FONTCONFIG_FILE": str(unpacked / "fonts.conf"),
    }
    # Its sandbox wants rights that a container or root does not have; it opens our pages only.
    return playwright.chromium.launch(
        executable_path=path, args=["--no-sandbox"], env={**os.environ, **variables}
    )
