"""Runs of an output folder, on any store: records, and rows of the files that they name."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.dataset as ds

from imgcls_beam.errors import ConfigError, RowsGoneError
from imgcls_beam.sinks import RunRecord
from imgcls_beam.sinks.record import DONE, read_record_in, read_records
from imgcls_beam.sinks.run_paths import name_record
from imgcls_beam.stores import open_folder, refuse_store_faults
from imgcls_beam.warehouse.querying import make_dataset

BATCH_ROWS = 16_384
"""Rows of a batch at the most: those of a row group as they are written."""


@dataclasses.dataclass(frozen=True, slots=True)
class FolderRun:
    """A run of an output folder: `RunRows`."""

    record: RunRecord
    place: str

    def read(
        self, columns: Sequence[str], model_key: str | None = None, status: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        """See `RunRows`."""
        files = tuple(each for each in self.record.files if model_key in (None, each.model_key))
        wanted = None if status is None else ds.field("status") == status
        with refuse_store_faults("output", self.place), _refuse_gone(self.record.run_id):
            folder = open_folder("output", self.place)
            dataset = make_dataset(folder, [dataclasses.replace(self.record, files=files)])
            yield from dataset.to_batches(
                columns=list(columns),
                filter=wanted,
                batch_size=BATCH_ROWS,
                batch_readahead=1,
                fragment_readahead=1,
            )


def find_folder_run(output: str, run_id: str) -> FolderRun | None:
    """A finished run of this name; None where there is none.

    Raises:
        ConfigError: the folder cannot be read, or the file in the place of the record is none.
    """
    with refuse_store_faults("output", output):
        folder = open_folder("output", output)
        try:
            record = read_record_in(folder, name_record(run_id))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ConfigError("run_id", run_id, "its record cannot be read") from error
    return FolderRun(record, output) if record.state == DONE else None


def list_records(output: str) -> list[RunRecord]:
    """The records of the finished runs of a folder.

    Raises:
        ConfigError: the folder cannot be read.
    """
    with refuse_store_faults("output", output):
        return list(read_records(open_folder("output", output)))


@contextlib.contextmanager
def _refuse_gone(run_id: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        problem = "files of it are gone: it was replaced or removed meanwhile; start again"
        raise RowsGoneError("run_id", run_id, problem) from error
