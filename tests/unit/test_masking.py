"""Secrets of URLs are shown nowhere, and objects keep names of their own."""

import pickle

import pytest

from imgcls_beam.attributes import encode_attributes
from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import ConfigError
from imgcls_beam.masking import mask_secrets, mask_uri
from imgcls_beam.options import InputOptions

SECRET = "s3cr3tCANARY"
SIGNED = (
    f"https://h/a.png?X-Amz-Signature={SECRET}&X-Amz-Credential={SECRET}",
    f"https://h/a.png?X-Amz-Security-Token={SECRET}",
    f"https://h/a.png?w=1&X-Goog-Signature={SECRET}#part",
    f"https://h/a.png?GoogleAccessId={SECRET}&Expires=1&Signature={SECRET}",
    f"https://h/a.png?AWSAccessKeyId={SECRET}&Signature={SECRET}",
    f"https://a.blob.core.windows.net/c/a.png?sv=1&se=2026&sig={SECRET}",
    f"https://h/a.png?Policy={SECRET}&Key-Pair-Id={SECRET}",
    f"https://h/a.png?token={SECRET}",
    f"https://h/a.png?access_token={SECRET};api_key={SECRET}",
    f"https://h/a.png?apikey={SECRET}&code={SECRET}&password={SECRET}",
    f"https://h/go?to=https%3A%2F%2Fi%2Fa.png%3Fsig%3D{SECRET}",
    f"HTTPS://h/a.png?SIG={SECRET}",
    f"https://h/a.png#access_token={SECRET}",
)
WITH_USER = (
    f"https://user:{SECRET}@h/a.png",
    f"https://{SECRET}@h/a.png",
    f"https://user:{SECRET}@x@h/a.png",
    f"https://user%3A{SECRET}@h/a.png",
    f"HTTP://:{SECRET}@h/a.png",
    f"ftp://user:{SECRET}@h/a.png",
    f"sftp://user%3a{SECRET}@h/a.png",
    f"odd://user:{SECRET}@h/a.png",
)
PLAIN = (
    "https://h/a.png?w=100&expires=never",
    "https://h/@user/a.png",
    "s3://bucket/a?token=1.png",
    "gs://bucket/a@b:c.png",
    "sftp://user@h/a.png",
    "abfs://container@account.dfs.core.windows.net/a.png",
    "/home/me/a?sig=1.png",
    "photos/a@b.png",
)


@pytest.mark.parametrize("url", [*SIGNED, *WITH_USER])
def test_a_secret_is_in_no_name_of_an_object(url: str) -> None:
    ref = ImageRef(url)
    assert SECRET not in ref.uri + repr(ref) + encode_attributes({"photo": url, "at": [url]})
    assert ref.object_uri == url
    assert pickle.loads(pickle.dumps(ref)).object_uri == url
    assert mask_uri(ref.uri) == ref.uri
    assert SECRET not in mask_secrets(f"GET '{url}' failed; see <{url}>, {url}")
    assert SECRET not in str(ConfigError("input", (url,), "it is wrong"))


@pytest.mark.parametrize("url", PLAIN)
def test_other_uris_stay_as_they_are(url: str) -> None:
    ref = ImageRef(url)
    assert (ref.uri, ref.object_uri, ref.signed_url) == (url, url, None)


def test_an_object_that_is_signed_anew_is_the_same_object() -> None:
    first = ImageRef("https://h/a.png?X-Amz-Date=1&X-Amz-Signature=a&w=5")
    assert first == ImageRef("https://h/a.png?X-Amz-Date=2&X-Amz-Signature=b&w=5")
    assert first != ImageRef("https://h/a.png?X-Amz-Date=2&X-Amz-Signature=b&w=6")


def test_objects_that_only_a_key_tells_apart_stay_apart() -> None:
    names = {ImageRef(f"https://h/get?key={number}").uri for number in range(1000)}
    assert len(names) == 1000


@pytest.mark.parametrize("url", [*SIGNED, *WITH_USER])
def test_a_source_with_a_secret_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        InputOptions((url,), allow_schemes=("http", "https", "ftp", "sftp", "odd"))
    assert SECRET not in str(raised.value)
