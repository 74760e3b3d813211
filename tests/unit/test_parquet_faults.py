"""A manifest in Parquet whose store fails while it is read is not called damaged."""

import errno
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import ConfigError
from imgcls_beam.listing.parquet_manifests import _open_table


@pytest.fixture
def file(tmp_path: pathlib.Path) -> ImageRef:
    pq.write_table(pa.table({"uri": ["a"]}), tmp_path / "a.parquet")
    return ImageRef(str(tmp_path / "a.parquet"))


@pytest.mark.parametrize(
    "fault", [OSError(errno.EIO, "503"), OSError(errno.EBUSY, "429"), ConnectionResetError()]
)
def test_a_fault_that_may_pass_is_the_stores(file: ImageRef, fault: OSError) -> None:
    with pytest.raises((ConfigError, OSError)) as raised, _open_table(file):
        raise fault
    assert "damaged" not in str(raised.value)
    assert fault in (raised.value, raised.value.__cause__)


def test_what_arrow_cannot_read_is_called_damaged(file: ImageRef) -> None:
    with pytest.raises(ConfigError, match="damaged"), _open_table(file):
        raise OSError("Couldn't deserialize thrift")
