"""A model's name → one content: folders by hash, hub models by commit."""

import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator

import fsspec
import numpy as np
import pytest
from safetensors.numpy import save_file

from imgcls_beam.errors import ConfigError, ModelError
from imgcls_beam.models import fetch_model, resolve_model

ROOT = pathlib.Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = [{"rfilename": name} for name in ("config.json", "model.safetensors")]
INFO = json.dumps({"id": "x/y", "sha": COMMIT, "siblings": FILES})

Answer = tuple[int, dict[str, str], str]


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """What `resolve_model` takes for a model: it looks at the first bytes of files only."""
    made = tmp_path / "model"
    made.mkdir()
    for name in ("config.json", "preprocessor_config.json"):
        (made / name).write_text(json.dumps({"of": name}))
    write_weights(made / "model.safetensors", 1)
    return made


def write_weights(path: pathlib.Path, seed: int) -> None:
    save_file({"weight": np.full(3, seed, np.float32)}, path)


def find_revision(folder: pathlib.Path) -> str:
    return resolve_model(str(folder), None).revision


def test_a_folder_is_named_as_given_and_pinned_to_its_content(folder: pathlib.Path) -> None:
    source = resolve_model(f"{folder}/", None)
    assert (source.model_id, source.location, source.commit) == (str(folder), str(folder), None)
    assert re.fullmatch("[0-9a-f]{64}", source.revision)
    assert source.key == f"folder@{source.revision[:12]}"
    assert source.display_name == f"{folder}@{source.revision[:12]}"


def test_a_folder_in_the_working_folder_keeps_its_short_name(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    source = resolve_model("./model", None)
    assert (source.model_id, source.location) == ("model", str(folder))
    assert source.revision == find_revision(folder)


def test_the_hash_changes_with_names_and_contents_and_with_nothing_else(
    folder: pathlib.Path,
) -> None:
    found = [find_revision(folder)]
    os.utime(folder / "config.json", (1, 1))
    for name in ("README.md", "LICENSE.txt", "trainer_state.json", "training_args.bin"):
        (folder / name).write_text("not read by any classifier")
    (folder / "pytorch_model.bin").write_text("weights that the others take precedence of")
    (folder / os.fsdecode(b"odd\xff.json")).write_text("")
    (folder / ".git").mkdir()
    (folder / "model-00001-of-00002.safetensors").write_text("a shard without its index")
    assert find_revision(folder) == found[0]
    (folder / "config.json").write_text('{"is": "changed"}')
    found.append(find_revision(folder))
    (folder / "preprocessor_config.json").rename(folder / "processor_config.json")
    found.append(find_revision(folder))
    write_weights(folder / "model.safetensors", 2)
    found.append(find_revision(folder))
    (folder / "model.safetensors").rename(folder / "first.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"weight": "first.safetensors"}}))
    found.append(find_revision(folder))
    write_weights(folder / "first.safetensors", 3)
    found.append(find_revision(folder))
    (folder / "second").mkdir()
    (folder / "first.safetensors").rename(folder / "second" / "first.safetensors")
    index.write_text(json.dumps({"weight_map": {"weight": "second/first.safetensors"}}))
    found.append(find_revision(folder))
    write_weights(folder / "second" / "first.safetensors", 4)
    found.append(find_revision(folder))
    assert len(set(found)) == 8


def test_a_copy_and_a_folder_of_links_are_the_same_model(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    links = tmp_path / "links"
    links.mkdir()
    for path in folder.iterdir():
        (links / path.name).symlink_to(path)
    assert find_revision(links) == find_revision(folder)


def test_one_content_has_one_key_however_it_is_spelled_and_wherever_it_lies(
    folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(folder.parent)
    (folder / "training_args.bin").write_text("what a trainer leaves")
    shutil.copytree(folder, tmp_path / "a copy")
    (tmp_path / "link").symlink_to(folder)
    store = fsspec.filesystem("memory")
    for path in sorted(folder.iterdir(), reverse=True):
        store.pipe_file(f"/one-content/{path.name}", path.read_bytes())
    local = ("model", "./model", "model/", str(folder), f"{folder}/../model", "a copy", "link")
    urls = (f"file://{folder}", "memory://one-content", "memory://one-content/")
    sources = [resolve_model(spelling, None) for spelling in (*local, *urls)]
    assert len({source.key for source in sources}) == 1
    names = ["model", "model", "model", str(folder), str(folder), "a copy", "link"]
    assert [source.model_id for source in sources[: len(local)]] == names


def test_a_folder_has_no_revisions_and_must_hold_a_model(folder: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="no revisions") as caught:
        resolve_model(str(folder), "main")
    assert caught.value.option == "revision"
    (folder / "config.json").unlink()
    with pytest.raises(ConfigError, match=r"no config\.json"):
        resolve_model(str(folder), None)


@pytest.mark.parametrize("change", ["other weights", "another config", "no weights", "no folder"])
def test_a_folder_that_changed_since_the_launch_is_not_loaded(
    folder: pathlib.Path, change: str
) -> None:
    """Else rows would name a content that did not make them."""
    source = resolve_model(str(folder), None)
    weights = folder / "model.safetensors"
    kept = weights.stat()
    if change == "other weights":  # as long and as old as those that were pinned
        write_weights(weights, 2)
        os.utime(weights, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    elif change == "another config":
        (folder / "config.json").write_text("{}")
    elif change == "no weights":
        weights.unlink()
    else:
        shutil.rmtree(folder)
    problem = "cannot be read" if change == "no folder" else "changed since the job was started"
    with pytest.raises(ModelError, match=f"^{folder}: its files .*{problem}"):
        fetch_model(source)


def test_a_folder_whose_other_files_changed_is_loaded(folder: pathlib.Path) -> None:
    source = resolve_model(str(folder), None)
    (folder / "README.md").write_text("not read by any classifier")
    assert fetch_model(source) == folder


NONSENSE = (
    *("", " ", "a b", "a/b/c", "/no/such/folder", "./none", "~/none", "-a/b"),
    *("modèle/x", "a--b/c", "a..b", "a/b.git", "a/..", "a/-b", "x" * 120, "a/b\n", "owner/na\0me"),
)


@pytest.mark.parametrize("name", NONSENSE)
def test_a_name_that_no_model_has_is_refused_without_asking_anyone(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="there is no such folder") as caught:
        resolve_model(name, None)
    assert (caught.value.option, caught.value.value) == ("model", name)


@pytest.mark.parametrize("url", ["https://x.y/z", "HTTP://x.y/z", "simplecache::gs://a/b"])
def test_a_url_of_another_scheme_than_a_stores_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"its scheme is not allowed|there is no such"):
        resolve_model(url, None)


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the hub does, and remembers who asked for what."""

    answers: dict[str, Answer] = {}  # noqa: RUF012
    asked: list[tuple[str, str | None]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        Hub.asked.append((self.path, self.headers["authorization"]))
        missing: Answer = (404, {"X-Error-Code": "RepoNotFound"}, "{}")
        status, headers, text = Hub.answers.get(self.path, missing)
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_CONNECT(self) -> None:
        self.send_error(403)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def hub() -> Iterator[str]:
    """Its address."""
    Hub.answers, Hub.asked = {}, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


PROGRAM = """
import json, sys
from imgcls_beam.models import resolve_model
from imgcls_beam.errors import ConfigError
try:
    source = resolve_model(sys.argv[1], sys.argv[2] or None)
    assert source.weights == "model.safetensors"
    print(json.dumps([source.model_id, source.revision, source.location, source.commit]))
except ConfigError as error:
    print(json.dumps([error.option, str(error)]))
"""


def resolve_apart(home: pathlib.Path, revision: str = "", **environment: str) -> list[str]:
    """Resolves x/y in a process of its own; huggingface_hub reads its settings on import."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HF_") and not name.lower().endswith("_proxy")
    }
    settings = {**kept, "HF_HOME": str(home), "PYTHONPATH": str(ROOT), **environment}
    program = [sys.executable, "-c", PROGRAM, "x/y", revision]
    done = subprocess.run(
        program, env=settings, capture_output=True, text=True, check=False, timeout=60, cwd=home
    )
    assert done.returncode == 0, done.stderr
    answer: list[str] = json.loads(done.stdout)
    return answer


def test_a_hub_model_is_pinned_to_the_commit_of_its_revision(
    hub: str, tmp_path: pathlib.Path
) -> None:
    other = COMMIT[::-1]
    Hub.answers["/api/models/x/y"] = (200, {}, INFO)
    Hub.answers["/api/models/x/y/revision/z"] = (200, {}, INFO.replace(COMMIT, other))
    for commit in (COMMIT, other):
        Hub.answers[f"/api/models/x/y/revision/{commit}"] = (200, {}, INFO.replace(COMMIT, commit))
    assert resolve_apart(tmp_path, HF_ENDPOINT=hub) == ["x/y", COMMIT, "x/y", COMMIT]
    assert resolve_apart(tmp_path, "z", HF_ENDPOINT=hub) == ["x/y", other, "x/y", other]
    assert resolve_apart(tmp_path, COMMIT, HF_ENDPOINT=hub) == ["x/y", COMMIT, "x/y", COMMIT]
    paths = [path for path, _ in Hub.asked if path.startswith("/api/models/")]
    files = [f"/api/models/x/y/revision/{commit}" for commit in (COMMIT, other, COMMIT)]
    assert paths == ["/api/models/x/y", files[0], "/api/models/x/y/revision/z", *files[1:]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "code", "revision", "option", "problem"),
    [
        (404, "RepoNotFound", "", "model", "no such folder or hub model"),
        (401, "RepoNotFound", "", "model", "a private one needs HF_TOKEN"),
        (403, "GatedRepo", "", "model", "accept its terms on the hub"),
        (401, "GatedRepo", "z", "model", "accept its terms on the hub"),
        (404, "RevisionNotFound", "z", "revision", "x/y has no such revision"),
        (403, None, "", "model", "the hub refuses it (HTTP 403)"),
        (429, None, "", "model", "the hub refuses it (HTTP 429)"),
        (500, None, "", "model", "could not be reached"),
        (200, None, "", "model", "does not answer as a hub does"),
    ],
)
def test_what_the_hub_refuses_is_said_in_a_sentence_without_the_token(
    hub: str,
    tmp_path: pathlib.Path,
    status: int,
    code: str | None,
    revision: str,
    option: str,
    problem: str,
) -> None:
    headers = {"X-Error-Code": code} if code else {}
    path = "/api/models/x/y" + (f"/revision/{revision}" if revision else "")
    Hub.answers[path] = (status, headers, "<html>")
    said = resolve_apart(tmp_path, revision, HF_ENDPOINT=hub, HF_TOKEN="hf_secret")
    assert said[0] == option
    assert problem in said[1]
    assert "\n" not in said[1] and "hf_secret" not in said[1]
    assert (path, "Bearer hf_secret") in Hub.asked


@pytest.mark.slow
@pytest.mark.parametrize("sha", ["../../etc", "", "main", None])
def test_an_answer_that_is_no_commit_is_refused(
    hub: str, tmp_path: pathlib.Path, sha: str | None
) -> None:
    Hub.answers["/api/models/x/y"] = (200, {}, json.dumps({"id": "x/y", "sha": sha}))
    assert "does not answer as a hub does" in resolve_apart(tmp_path, HF_ENDPOINT=hub)[1]


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_is_said_in_a_sentence(
    hub: str, tmp_path: pathlib.Path
) -> None:
    for settings in (
        {"HF_ENDPOINT": "http://127.0.0.1:9"},
        {"HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "1"},
        {"HF_ENDPOINT": "https://hub.invalid", "HTTPS_PROXY": hub},
    ):
        option, said = resolve_apart(tmp_path, **settings)
        assert option == "model"
        assert "could not be reached" in said and "\n" not in said
    assert Hub.asked == []
