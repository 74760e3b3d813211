"""What people look at afterwards: finished runs, read, judged and compared.

Nothing here knows of Beam, and nothing is written to an output.
"""

from imgcls_beam.analysis.run_rows import RunPlace, RunRows, choose_model, list_runs, open_run

__all__ = ["RunPlace", "RunRows", "choose_model", "list_runs", "open_run"]
