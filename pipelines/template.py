"""Prints what builds and launches the Dataflow Flex Template; starts nothing.

::

    imgcls template show --image=REGION-docker.pkg.dev/PROJECT/images/imgcls:1-cuda \
        --spec=gs://bucket/imgcls.json --project=PROJECT \
        --input=gs://bucket/photos --output=gs://bucket/labels --gpu=l4
    imgcls template build --image=… --spec=gs://bucket/imgcls.json --write
    imgcls template metadata > deploy/metadata.json

The flags of the job are checked as `imgcls classify` checks them.
"""

import argparse
import functools
import json
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from imgcls_beam.errors import ConfigError

from . import metadata, template_flags, terminal
from .program import DONE, Fields, run_main

_DELIMITER = "~"
_METADATA = "deploy/metadata.json"
_BUILD = f"# build; without a checkout: imgcls template metadata > FILE, and FILE for {_METADATA}"


def main(argv: Sequence[str] | None = None) -> int:
    """Prints; returns the exit code."""
    return run_main("template", argv, _act)


def _act(words: list[str], how: argparse.Namespace) -> tuple[int, Fields | None]:
    flags = template_flags.parse_flags(words)
    is_metadata = flags.action == "metadata"
    text = metadata.render_metadata() if is_metadata else _render(flags)
    if flags.action == "build" and flags.write:
        _write_spec(flags)
        text += f"written: {flags.spec}\n"
    code = DONE if how.json else terminal.print_answer("imgcls template", text)
    return code, functools.partial(_to_fields, flags)


def _to_fields(flags: argparse.Namespace) -> dict[str, Any]:
    """What is asked for; the others are null."""
    action = flags.action
    return {
        "metadata": metadata.make_metadata() if action == "metadata" else None,
        "spec": make_spec(flags.image) if action in ("show", "build") else None,
        "build": make_build_command(flags) if action in ("show", "build") else None,
        "run": make_run_command(flags) if action in ("show", "run") else None,
        "written": flags.spec if action == "build" and flags.write else None,
    }


def make_spec(image: str) -> dict[str, Any]:
    """The container spec, which `gcloud dataflow flex-template build` would write."""
    return {
        "image": image,
        "metadata": metadata.make_metadata(),
        "sdkInfo": {"language": "PYTHON"},
        "defaultEnvironment": {},
    }


def make_build_command(flags: argparse.Namespace) -> list[str]:
    """The command that writes the container spec, word by word."""
    return [
        *("gcloud", "dataflow", "flex-template", "build", flags.spec),
        f"--project={flags.project}",
        f"--image={flags.image}",
        "--sdk-language=PYTHON",
        f"--metadata-file={_METADATA}",
    ]


def make_run_command(flags: argparse.Namespace) -> list[str]:
    """The command that launches a job, word by word."""
    return [
        *("gcloud", "dataflow", "flex-template", "run", flags.name),
        f"--project={flags.project}",
        f"--region={flags.region}",
        f"--template-file-gcs-location={flags.spec}",
        *(f"--{name}={value}" for name, value in flags.environment.items()),
        *(_to_parameter(name, value) for name, value in flags.parameters.items()),
    ]


def _to_parameter(name: str, value: str) -> str:
    """One of gcloud's `--parameters`; its lists are cut at commas unless told otherwise.

    Raises:
        ConfigError: the value holds both of the marks at which a list can be cut here.
    """
    if "," not in value:
        return f"--parameters={name}={value}"
    if _DELIMITER in value:
        raise ConfigError(
            name, value, f"it holds a comma and a {_DELIMITER}; leave one of them out"
        )
    return f"--parameters=^{_DELIMITER}^{name}={value}"


def _render(flags: argparse.Namespace) -> str:
    build, run = make_build_command(flags), ["", *_show(make_run_command(flags))]
    if flags.action == "build":
        return "\n".join([_BUILD, *_show(build)]) + "\n"
    if flags.action == "run":
        return "\n".join(run[1:]) + "\n"
    parts = [f"# {flags.spec}", json.dumps(make_spec(flags.image), indent=2, ensure_ascii=False)]
    return "\n".join([*parts, "", _BUILD, *_show(build), "", "# run", *run[1:]]) + "\n"


def _show(command: Sequence[str]) -> list[str]:
    """One word a line after the first five, quoted for a shell."""
    words = [shlex.quote(word) for word in command]
    lines = [" ".join(words[:5]), *(f"  {word}" for word in words[5:])]
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]


def _write_spec(flags: argparse.Namespace) -> None:
    from imgcls_beam.stores.opening import open_parent

    folder, name = open_parent("spec", flags.spec)
    with folder.refuse_unwritable():
        folder.write(name, json.dumps(make_spec(flags.image)).encode())


if __name__ == "__main__":
    sys.exit(main())
