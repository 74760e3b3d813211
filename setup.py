"""Packaging of imgcls_beam. Dataflow's `--setup_file` wants this file.

`pipelines/` and `schemas/` lie at the top level and are installed below `imgcls_beam`, so that one
wheel carries everything under one name.
"""

import pathlib

import setuptools

HERE = pathlib.Path(__file__).parent

BASE = [
    "apache-beam>=2.77,<3",
    "transformers>=5.23,<6",
    "torch>=2.13,<3",
    "pyarrow>=25",
    "pillow>=12.3",
    "fsspec>=2026.9",
    "filelock>=3.24",  # from here on a lock file that was removed guards nothing
]
EXTRAS = {
    "gcp": ["apache-beam[gcp]", "gcsfs>=2026.9"],
    "s3": ["s3fs>=2026.9"],
    "sql": ["duckdb>=2.0"],
    "yaml": ["apache-beam[yaml]"],
    "dev": [
        "apache-beam[gcp,yaml]",
        "duckdb>=2.0",
        "gcp-storage-emulator",
        "gcsfs>=2026.9",
        "import-linter",
        "jsonschema",
        "moto[s3,server]",
        "mypy",
        "pytest",
        "pytest-timeout",
        "ruff",
        "s3fs>=2026.9",
    ],
}

setuptools.setup(
    name="imgcls_beam",
    version="0.1.0",
    description="Batch image classification on Apache Beam, equal to the Hugging Face task",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    packages=[
        *setuptools.find_packages(include=["imgcls_beam", "imgcls_beam.*"]),
        *("imgcls_beam.pipelines", "imgcls_beam.schemas"),
    ],
    package_dir={
        "imgcls_beam": "imgcls_beam",
        "imgcls_beam.pipelines": "pipelines",
        "imgcls_beam.schemas": "schemas",
    },
    package_data={"imgcls_beam": ["py.typed"], "imgcls_beam.schemas": ["*.json", "*.sql"]},
    install_requires=BASE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["imgcls = imgcls_beam.pipelines.__main__:main"]},
)
