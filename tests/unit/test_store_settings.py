"""A setting of the environment that cannot be is named, before a store is asked."""

import pathlib

import pytest

from imgcls_beam.errors import ConfigError
from imgcls_beam.stores import check_store
from tests.servers import forget_clients

_BOTH = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
_ACCOUNT = {"AZURE_STORAGE_ACCOUNT_NAME": "acc"}
_URLS = {"AWS": "s3://bucket/p", "AZU": "az://bucket/p", "STO": "gs://b-1/p", "GOO": "gs://b-1/p"}
_VARIABLES = (
    *("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_PROFILE"),
    *("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_NAME", "STORAGE_EMULATOR_HOST"),
    *("AZURE_STORAGE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "AWS_CONFIG_FILE"),
)
NO_ADDRESS = (
    *("not a url", "localhost:9000", "http://", "ftp://x", "http://x y:90", "http://x:port"),
    *("://x", "http:/x", "https://[::1"),
)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**_BOTH, "HOME": str(tmp_path), "NO_GCE_CHECK": "true"}.items():
        monkeypatch.setenv(name, value)
    for scheme in ("s3", "gs", "az"):
        forget_clients(scheme)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        *(("AWS_ENDPOINT_URL", value, "is no address; set it to one such") for value in NO_ADDRESS),
        ("AWS_ENDPOINT_URL_S3", "not a url", "is no address; set it to one such as http://local"),
        ("STORAGE_EMULATOR_HOST", "not a url", "is no address; set it to one such as http://local"),
        ("STORAGE_EMULATOR_HOST", "localhost:port", "is no address; set it to one"),
        *(
            ("AWS_DEFAULT_REGION", value, "is no region; set it to one such as eu-west-1")
            for value in ("eu west 1", "eu_west_1", "-eu-", "eu.west", " ")
        ),
        ("AZURE_STORAGE_CONNECTION_STRING", "banana", "is no connection string, which is Name="),
        ("AZURE_STORAGE_CONNECTION_STRING", "a=b;c", "is no connection string, which is Name="),
        (
            *("AZURE_STORAGE_CONNECTION_STRING", "DefaultEndpointsProtocol=https;AccountKey=YQ=="),
            "has neither AccountName nor BlobEndpoint; copy it",
        ),
        (
            *("AZURE_STORAGE_CONNECTION_STRING", "BlobEndpoint=not a url;AccountName=x"),
            "is no address; copy it",
        ),
        (
            *("AZURE_STORAGE_CONNECTION_STRING", "AccountName=a b;AccountKey=YQ=="),
            "is no name of an account; copy it",
        ),
        (
            *("AZURE_STORAGE_CONNECTION_STRING", "AccountName=x;AccountKey=secret!word"),
            "is no key in base64; copy it",
        ),
        ("AZURE_STORAGE_ACCOUNT_NAME", "not a name", "is no name of an account: small letters"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "secret!word", "is no key in base64; copy it"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/gone.json", "names no file (/gone.json); set it"),
        ("GOOGLE_APPLICATION_CREDENTIALS", __file__, "names a file that is no key file"),
    ],
)
def test_a_setting_that_cannot_be_is_named_and_not_shown(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for more, its in {**_ACCOUNT, name: value}.items():
        monkeypatch.setenv(more, its)
    with pytest.raises(ConfigError) as caught:
        check_store("input", _URLS[name[:3]])
    assert f"{name} {said}" in caught.value.problem
    assert "word" not in caught.value.problem


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("region = eu west 1", "set AWS_DEFAULT_REGION, or region in the profile, to one such as"),
        ("endpoint_url = not a url", "set AWS_ENDPOINT_URL, or endpoint_url in the profile, to"),
    ],
)
def test_a_setting_of_a_profile_that_cannot_be_is_named(
    setting: str, said: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    path.write_text(f"[default]\n{setting}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    with pytest.raises(ConfigError) as caught:
        check_store("input", "s3://bucket/p")
    assert said in caught.value.problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("AWS_ENDPOINT_URL", f"http://{host}") for host in ("127.0.0.1:9", "[::1]:9", "h.x:9/p")),
        *(("STORAGE_EMULATOR_HOST", host) for host in ("127.0.0.1:9", "my_host:9", "https://h:9")),
        ("AZURE_STORAGE_CONNECTION_STRING", "BlobEndpoint=http://127.0.0.1:9/a;AccountName=a;"),
    ],
)
def test_an_address_that_can_be_is_asked(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgcls_beam.stores.store_checks._WAITS_S", (None,))
    monkeypatch.setattr("imgcls_beam.stores.store_checks._connect", lambda _: False)
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="does not answer; check"):
        check_store("input", _URLS[name[:3]])
