"""Nights of buckets: a folder without objects, and objects that were archived."""

import pytest

from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode
from imgcls_beam.listing import check_inputs, list_images
from imgcls_beam.options import InputOptions, ReadOptions
from imgcls_beam.reading import read_images
from tests.servers import BUCKET, Server


def test_a_folder_without_objects_is_empty_where_that_is_allowed(server: Server) -> None:
    server.fill({"night/there.txt": b"no image"})
    for folder in ("night", "gone-night", "gone-night/"):
        inputs = InputOptions((f"{server.root}/{folder}",), allow_empty=True)
        check_inputs(inputs)
        assert list(list_images(inputs)) == []
        with pytest.raises(ConfigError):
            check_inputs(InputOptions(inputs.inputs))


def test_a_file_or_a_bucket_that_is_not_there_is_an_error_in_any_case(server: Server) -> None:
    for url in (f"{server.root}/gone.jpg", f"{server.root}/gone.tar"):
        with pytest.raises(ConfigError):
            check_inputs(InputOptions((url,), allow_empty=True))
    with pytest.raises(ConfigError):
        check_inputs(
            InputOptions((server.root.replace(BUCKET, "no-such-bucket-0"),), allow_empty=True)
        )


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_of_s3_says_so(s3_server: Server, storage_class: str) -> None:
    url = f"{s3_server.root}/archive/{storage_class}.jpg"
    key = f"{url.partition(f'{BUCKET}/')[2]}"
    s3_server.store.call_s3(
        "put_object", Bucket=BUCKET, Key=key, Body=b"bytes", StorageClass=storage_class
    )
    options = ReadOptions(tries=1)
    (listed,) = list_images(InputOptions((url,)))
    assert isinstance(listed, ImageRef)
    for ref in (listed, ImageRef(url)):
        (failure,) = read_images([ref], options)
        assert isinstance(failure, Failure)
        assert failure.code is FailureCode.ARCHIVED
