"""The staging folders: one per start of the program, and what a killed start leaves behind.

An attempt that begins to move files to their final place first leaves a note in its staging folder
that says where. If it dies half-way, whoever publishes the run later finds the note and takes those
files away, even where the later run belongs to another day.
"""

import re

from imgcls_beam.sinks import store
from imgcls_beam.sinks.layout import Layout, join

_NOTE = "moving-to"
_ATTEMPT = re.compile("[0-9a-f]{32}")


def check_output_writable(layout: Layout) -> None:
    """Writes and removes a small object in the staging folder, and leaves nothing behind.

    Raises:
        ConfigError: nothing can be written there.
    """
    with store.refuse_unwritable("output", layout.output):
        store.try_folder(layout.staging)


def clear_attempt(layout: Layout) -> None:
    """Removes what this attempt staged, what it published by halves, and folders left empty."""
    if store.find_size(layout.record) is None:
        _withdraw(layout, layout.staging)
    store.remove_folder(layout.staging)
    model_folder = layout.run_folder.rpartition("/")[0]
    date_folder = model_folder.rpartition("/")[0]
    store.prune(layout.staging_root, layout.run_folder, model_folder, date_folder)
    store.prune(layout.predictions, layout.runs)


def note_moving(layout: Layout) -> None:
    """Leaves the note; to be called before the first file is moved."""
    folder = layout.make_relative(layout.run_folder)
    store.write_file(join(layout.staging, _NOTE), folder.encode())


def withdraw_others(layout: Layout) -> None:
    """Takes away what other attempts at this run published by halves elsewhere.

    To be called while no record of the run stands: so none of it was ever committed.
    """
    for staging in _find_others(layout):
        _withdraw(layout, staging, spare=layout.make_relative(layout.run_folder))


def clear_others(layout: Layout) -> None:
    """Removes what other attempts at this run staged; it is published, so they came too late."""
    for staging in _find_others(layout):
        store.remove_folder(staging)


def _find_others(layout: Layout) -> list[str]:
    prefix = f"{layout.run_id}-"
    names = [name for name in store.list_folders(layout.staging_root) if name.startswith(prefix)]
    others = [name for name in names if _ATTEMPT.fullmatch(name.removeprefix(prefix))]
    found = [join(layout.staging_root, name) for name in others]
    return [staging for staging in found if staging != layout.staging]


def _withdraw(layout: Layout, staging: str, spare: str | None = None) -> None:
    try:
        with store.open_existing(join(staging, _NOTE)) as note:
            folder = note.read().decode()
    except FileNotFoundError:
        return
    # The note of a program that was killed while writing it may be cut short: only a folder of this
    # very run is touched.
    if folder.endswith(f"/run_id={layout.run_id}") and folder != spare:
        store.remove_folder(join(layout.output, folder))
