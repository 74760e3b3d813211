"""`WriteTable`: committed runs into the warehouse, as a step of a pipeline."""

import dataclasses

import apache_beam as beam

from imgcls_beam.bigquery import TableName
from imgcls_beam.sinks import RunRecord
from imgcls_beam.stores.opening import open_folder
from imgcls_beam.warehouse.table_loading import LoadedRun, load_run


@dataclasses.dataclass(eq=False)
class WriteTable(beam.PTransform):
    """`RunRecord`s of a folder, as `WriteParquet` gives them → `LoadedRun`s.

    Attributes:
        table: made by `ensure_tables`; the run's row goes into the table beside it.
        output: folder of the published files.
        expected_session: see `load_run`.
        removes_output: whether the folder is for this load alone, and goes when it is done.
    """

    table: TableName
    output: str
    expected_session: str | None = None
    removes_output: bool = False

    def __post_init__(self) -> None:
        """Beam's own."""
        super().__init__()

    def expand(self, records: beam.PCollection[RunRecord]) -> beam.PCollection[LoadedRun]:
        """Loads each run by jobs of BigQuery; no row passes through here."""
        return records | "Load" >> beam.Map(
            _load, self.table, self.output, self.expected_session, self.removes_output
        ).with_output_types(LoadedRun)


def _load(
    record: RunRecord,
    table: TableName,
    output: str,
    expected_session: str | None,
    removes_output: bool,
) -> LoadedRun:
    loaded = load_run(table, output, record, expected_session)
    if removes_output:
        open_folder("output", output).remove_below()
    return loaded
