"""Writes `docs/differences.md`."""

from tests.edges.page import PATH, render

PATH.write_text(render(), encoding="utf-8")
