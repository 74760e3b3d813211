"""Takes the pictures of the pages that are in `docs/pictures`: `make pictures`.

Pictures are drawn as the demo's are, half of them too noisy or with a second figure, so that its
model is unsure. They are classified twice, the second time some of them drawn anew.
"""

import contextlib
import io
import os
import pathlib
import shutil
import sys
import tempfile

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from demo.draw import LABELS, draw_picture
from pipelines.__main__ import main
from tests.browser.chromium import NO_BROWSER, find_browser, launch

ROOT = pathlib.Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
COUNT, BROKEN, SEED = 240, 7, 11
COLOURS = 256
"""Of a saved picture, so that it stays small."""


def draw(number: int, version: int) -> Image.Image:
    """A picture of one figure; of every second one it is hard to tell."""
    changed = version if number % 9 == 0 else 0
    rng = np.random.default_rng([SEED, number, changed])
    picture = draw_picture(LABELS[number % len(LABELS)], rng, (320, 240))
    if number % 2 == 0:
        return picture
    other = draw_picture(LABELS[int(rng.integers(len(LABELS)))], rng, (320, 240))
    mixed = Image.blend(picture, other, float(rng.uniform(0.3, 0.55)))
    noise = rng.normal(0, 12, (240, 320, 3))
    return Image.fromarray(np.clip(np.asarray(mixed) + noise, 0, 255).astype(np.uint8))


def write_photos(folder: pathlib.Path, version: int) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(COUNT):
        saved = io.BytesIO()
        draw(number, version).save(saved, "JPEG", quality=85)
        data = saved.getvalue()
        if number % (COUNT // BROKEN) == 5:
            data = data[: len(data) // 3]
        (folder / f"IMG_{4100 + number}.jpg").write_bytes(data)


def make_report(folder: pathlib.Path) -> pathlib.Path:
    shutil.copytree(ROOT / "demo" / "model", folder / "shapes-vit")
    for version, run_id in enumerate(("nightly-2026-11-25", "nightly-2026-11-26")):
        write_photos(folder / "photos", version)
        flags = ("--model=shapes-vit", "--input=photos", "--output=out", "--report")
        with contextlib.redirect_stdout(io.StringIO()):
            assert main(["classify", *flags, f"--run_id={run_id}"]) == 0
    return folder / "out" / "reports" / f"{run_id}.html"


def open_page(browser: Browser, report: pathlib.Path, size: tuple[int, int], scheme: str) -> Page:
    width_px, height_px = size
    viewport = {"width": width_px, "height": height_px}
    page = browser.new_page(viewport=viewport, color_scheme=scheme)
    page.goto(report.as_uri())
    return page


def save(page: Page, name: str) -> None:
    taken = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    small = taken.quantize(COLOURS, kmeans=2, dither=Image.Dither.NONE)
    small.save(PICTURES / f"{name}.png", optimize=True)


def take(browser: Browser, report: pathlib.Path) -> None:
    desktop = open_page(browser, report, (1280, 860), "light")
    save(desktop, "report")
    desktop.evaluate("document.querySelector('#uncertain').scrollIntoView({behavior: 'instant'})")
    save(desktop, "report-least-certain")
    dark = open_page(browser, report, (1280, 860), "dark")
    dark.locator("#uncertain .card").nth(2).click()
    save(dark, "report-dark")
    save(open_page(browser, report, (390, 844), "light"), "report-phone")


def take_comparison(browser: Browser, folder: pathlib.Path) -> None:
    """Of the two runs that `make_report` has made."""
    flags = ("--output=out", "--run_id=nightly-2026-11-25", "--with=nightly-2026-11-26")
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["compare", *flags, "--to=comparison.html"]) == 0
    page = open_page(browser, folder / "comparison.html", (1280, 860), "light")
    save(page, "comparison")


def run() -> int:
    path = find_browser()
    if path is None:
        sys.stderr.write(f"{NO_BROWSER}\n")
        return 1
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="imgcls-") as folder:
        os.chdir(folder)
        report = make_report(pathlib.Path(folder))
        with sync_playwright() as playwright:
            browser = launch(playwright, path)
            take(browser, report)
            take_comparison(browser, pathlib.Path(folder))
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(run())
