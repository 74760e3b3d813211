"""The flags of `template`: its own, and those of the job that is to be launched."""

import argparse
from collections.abc import Sequence

from imgcls_beam.checks import check_choice
from imgcls_beam.errors import ConfigError

from . import flags as classify_flags
from . import metadata
from .arguments import parse_own
from .speech import add_speech_flags

ACTIONS = ("show", "build", "run", "metadata")

_ENVIRONMENT = {
    "max_num_workers": "max-workers",
    "num_workers": "num-workers",
    "network": "network",
    "service_account_email": "service-account-email",
    "staging_location": "staging-location",
    "subnetwork": "subnetwork",
    "temp_location": "temp-location",
}
"""Beam's flags that gcloud knows by a name of its own."""

_OTHER_NAMES = {"worker_machine_type": "machine_type"}

_OWN = ("runner", "project", "region", "job_name", "template_location")


def parse_flags(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line of `template`, and checks the job's flags as `classify` does.

    Returns:
        `action`, `image`, `spec`, `project`, `region`, `name`, `write`; `parameters`, values by
        name; `environment`, values by gcloud's flag.

    Raises:
        ConfigError: a flag or value that is not allowed.
        SystemExit: `--help` (0), or a flag without its value (2).
    """
    flags, rest = parse_own(make_parser(), argv)
    check_choice("action", flags.action, ACTIONS)
    for name in () if flags.action == "metadata" else ("image", "spec"):
        if getattr(flags, name) is None:
            raise ConfigError(name, None, "give the image, and where the template's file lies")
    if flags.spec is not None and not flags.spec.startswith("gs://"):
        raise ConfigError("spec", flags.spec, "Dataflow reads it from a gs:// place")
    flags.parameters, flags.environment = {}, {}
    if flags.action in ("show", "run"):
        flags.parameters, flags.environment = _sort(rest, flags.image)
    elif rest:
        raise ConfigError("argument", rest[0], "flags of the job are for show and run")
    return flags


def make_parser() -> argparse.ArgumentParser:
    """The parser of `template`."""
    parser = argparse.ArgumentParser(
        prog="imgcls template",
        description="Prints the commands that build and launch the Dataflow Flex Template.",
        epilog="Other flags are those of imgcls classify, and of Beam, written --flag=value. "
        "Nothing is started here.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "action",
        nargs="?",
        metavar="ACTION",
        help="show, build, run or metadata",
    )
    add("--image", metavar="IMAGE", help="that docker/build.sh has pushed")
    add("--spec", metavar="URL", help="gs:// place of the template's file")
    add("--project", default="PROJECT", metavar="P", help="Google Cloud project")
    add("--region", default="us-central1", metavar="R", help="of the job (us-central1)")
    add("--name", default="imgcls", metavar="N", help="of the job (imgcls)")
    add("--write", action="store_true", help="build: write the file to --spec, without gcloud")
    add_speech_flags(parser)
    return parser


def _sort(rest: Sequence[str], image: str) -> tuple[dict[str, str], dict[str, str]]:
    given: dict[str, str] = {}
    for argument in rest:
        name, equals, value = argument.partition("=")
        name = name.removeprefix("--").replace("-", "_")
        if not argument.startswith("--") or not equals:
            raise ConfigError("argument", argument, "write it as --flag=value")
        name = _OTHER_NAMES.get(name, name)
        if name in _OWN:
            raise ConfigError(
                "flag", f"--{name}", "the template sets it; see imgcls template --help"
            )
        if name in given:
            problem = "a template's parameter has one value; name more in --input_manifest"
            raise ConfigError(name, value, problem)
        given[name] = value
    classify_flags.parse_flags(
        [*(f"--{name}={value}" for name, value in given.items()), "--runner=DataflowRunner"]
    )
    environment = {
        _ENVIRONMENT[name]: given.pop(name) for name in list(given) if name in _ENVIRONMENT
    }
    return {"sdk_container_image": image, **given}, environment


def list_parameters() -> set[str]:
    """Names of the parameters that the template declares."""
    return {each["name"] for each in metadata.make_metadata()["parameters"]}
