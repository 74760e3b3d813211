"""What the disk of this machine says at once of the places that a job names.

What is missing there is found before Beam is imported, which takes seconds; all else is found by
those that read it.
"""

import os
from collections.abc import Iterator

from imgcls_beam.errors import ConfigError
from imgcls_beam.options import JobOptions

_PATTERN = frozenset("*?[{")
_CONFIG = "config.json"


def check_nearby(job: JobOptions) -> None:
    """Finds places of this machine that are not there.

    Raises:
        ConfigError: there is no such file or folder, or a folder that holds no model, or none of
            the form that is asked for.
    """
    for option, path in _list_read(job):
        if not _PATTERN & set(path) and not os.path.exists(path):
            raise ConfigError(option, path, "there is no such file or folder")
    for option, each in zip(("model", "compare_with"), job.models, strict=False):
        model = os.path.expanduser(each.model)
        if os.path.isdir(model) and not os.path.exists(os.path.join(model, _CONFIG)):
            problem = f"the folder has no {_CONFIG}; give the folder that save_pretrained wrote"
            raise ConfigError(option, each.model, problem)
        if os.path.isdir(model) and each.weights != "auto":
            from imgcls_beam.models.model_files import choose_weights

            choose_weights(each.model, os.listdir(model), each.weights)
    if job.output.table is not None:
        from imgcls_beam.bigquery import parse_table

        parse_table(job.output.table)


def _list_read(job: JobOptions) -> Iterator[tuple[str, str]]:
    images = job.input
    if images.allow_empty:  # what is not there yet is empty
        return
    given = [("input", url) for url in images.inputs] + [
        ("requests", url) for url in images.requests
    ]
    if images.manifest is not None:
        given.append(("input_manifest", images.manifest.url))
    for option, url in given:
        if "://" not in url and not url.lower().startswith(("bq:", "file:")):
            yield option, os.path.expanduser(url)
