"""What a model's file holds instead of what its name says, known by its first bytes.

Such files come from a clone without Git LFS, a login page that was saved, a copy that was cut, an
editor, or a save of more than weights. Each gets a sentence that names the file and the next step.
"""

import io
import pathlib
import pickletools
import zipfile
from collections.abc import Iterator

from imgcls_beam.json_bounds import MAX_BYTES, JsonBoundsError, load_bounded
from imgcls_beam.models.json_contents import (
    AGAIN,
    PACKED,
    find_json_problem,
    find_object_problem,
)

_HEAD_BYTES = 512
_MAX_HEADER_BYTES = 100_000_000
"""Of safetensors; their own library takes no longer ones."""
_MAX_PICKLE_BYTES = 64 << 20

_SAVE = "save the model with save_pretrained() where it was made"

_POINTERS = {
    b"version https://git-lfs.github.com/spec/": (
        "is a pointer of Git LFS, not the file; run git lfs pull in the model's folder"
    ),
    b"/annex/objects/": "is a pointer of git-annex, not the file; run git annex get",
    b"# xet version": f"is a pointer of Xet, not the file; {AGAIN}",
}
_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head")
_PICKLES = 5
"""In a file of PyTorch before 1.6, the weights' own among them."""
_PLAIN = ("torch", "collections", "_codecs")
_PLAIN_NAMES = {
    f"{module}.{kind}" for module in ("builtins", "__builtin__") for kind in ("set", "bytearray")
}
"""Whose objects are in a pickle of weights."""
_OTHER_TENSORS = {
    "_rebuild_sparse_tensor": "sparse tensors",
    "_rebuild_qtensor": "quantized tensors",
    "_rebuild_nested_tensor": "nested tensors",
    "_rebuild_meta_tensor_no_storage": "tensors of the device meta, without their numbers",
}
"""By the function of PyTorch that makes them, which a pickle names."""
_ZIP = b"PK\x03\x04"
_ZIP_FAULTS = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError)
_PICKLE = "/data.pkl"
"""How the name of the weights' pickle ends in an archive of PyTorch."""


def find_problem(path: pathlib.Path) -> str | None:
    """What is wrong with a file of a model, in a sentence that begins with its name; None for fine.

    What is not known here is left to the libraries that load it.

    Raises:
        OSError: it cannot be read.
    """
    if not path.exists():
        missing = f"{path.name} is a link to nothing; copy the model's files, not the links to them"
        return missing if path.is_symlink() else None
    if not path.is_file():
        return f"{path.name} is no file"  # a pipe would be waited for, a device never ends
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    problem = _judge_head(head)
    if problem is None and path.suffix in _JUDGES:
        problem = _JUDGES[path.suffix](path, head)
    return f"{path.name} {problem}" if problem else None


def find_index_problem(data: bytes) -> str | None:
    """The same of an index of weights that was read, in a sentence that goes after its name."""
    return _judge_head(data[:_HEAD_BYTES]) or find_json_problem(data)


def _judge_head(head: bytes) -> str | None:
    if not head.strip():
        return f"is empty; {AGAIN}"
    if head.lstrip().lower().startswith(_PAGES):
        return f"is a web page, not the file; {AGAIN}, with HF_TOKEN where the model is not public"
    return _look_up(head, _POINTERS)


def _look_up(head: bytes, starts: dict[bytes, str]) -> str | None:
    return next((says for start, says in starts.items() if head.startswith(start)), None)


def _judge_json(path: pathlib.Path, _: bytes) -> str | None:
    with path.open("rb") as file:
        return find_object_problem(file.read(MAX_BYTES + 1))


def _judge_safetensors(path: pathlib.Path, head: bytes) -> str | None:
    header_bytes = int.from_bytes(head[:8], "little")  # so a file may begin with any byte
    if not 2 <= header_bytes <= _MAX_HEADER_BYTES or head[8:9] != b"{":
        return _judge_other(path, head)
    with path.open("rb") as file:
        file.seek(8)
        header = file.read(min(header_bytes, MAX_BYTES + 1))
    try:
        tensors = {**load_bounded(header)}
        tensors.pop("__metadata__", None)
        ends = [each["data_offsets"][1] for each in tensors.values()]
        whole_bytes = 8 + header_bytes + max(ends, default=0)
    except JsonBoundsError as error:
        return f"has a header that {error}; no model's is"
    except (ValueError, LookupError, TypeError, AttributeError):
        whole_bytes = 8 + header_bytes if len(header) < header_bytes else 0
    size_bytes = path.stat().st_size
    if size_bytes < whole_bytes:
        return f"is cut off: it has {size_bytes:,} bytes of {whole_bytes:,}; {AGAIN}"
    return None


def _judge_other(path: pathlib.Path, head: bytes) -> str:
    """What to say of a file that is called safetensors and is none."""
    if head.startswith(b"\x80") or (head.startswith(_ZIP) and _has_pickle(path)):
        return "is a pickle under the name of safetensors; call it pytorch_model.bin"
    return _look_up(head, PACKED) or f"is not a safetensors file; {AGAIN}"


def _has_pickle(path: pathlib.Path) -> bool:
    """Whether a zip archive is one of PyTorch; one that is damaged may be."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(each.endswith(_PICKLE) for each in archive.namelist())
    except _ZIP_FAULTS:
        return False


def _judge_pickle(path: pathlib.Path, head: bytes) -> str | None:
    if head[8:10] == b'{"':
        return "is a safetensors file under the name of a pickle; call it model.safetensors"
    if head.startswith(_ZIP):
        return _judge_archive(path)
    if head.startswith(b"\x80"):
        with path.open("rb") as file:
            return _judge_names(file.read(_MAX_PICKLE_BYTES))
    return _look_up(head, PACKED) or f"is no file of PyTorch; {AGAIN}"


def _judge_archive(path: pathlib.Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any(each.endswith("/constants.pkl") or "/code/" in each for each in names):
                return f"is a program of TorchScript, not weights; {_SAVE}"
            parts = archive.infolist()
            if sum(each.file_size for each in parts) > path.stat().st_size:
                return f"holds more than its size, packed or twice; {_SAVE}"
            pickles = [each for each in names if each.endswith(_PICKLE)]
            if not pickles:
                return "is a zip archive without weights of PyTorch; unpack it"
            if archive.getinfo(pickles[0]).file_size > _MAX_PICKLE_BYTES:
                return None
            return _judge_names(archive.read(pickles[0]))
    except _ZIP_FAULTS:
        return f"is cut off or damaged; {AGAIN}"


def _judge_names(data: bytes) -> str | None:
    """Refuses what names other classes than tensors: opening it would run their code."""
    found = list(_name_classes(data))
    foreign = next((each for each in found if not _is_plain(each)), None)
    if foreign is None:
        makers = {each.rpartition(".")[2] for each in found}
        kind = next((kind for maker, kind in _OTHER_TENSORS.items() if maker in makers), None)
        return f"holds {kind}, which are not read; save plain tensors" if kind else None
    if foreign.startswith("numpy."):
        return f"holds numbers of numpy, not tensors; {_SAVE}"
    return f"holds more than weights ({foreign}), a whole model or a trainer's state; {_SAVE}"


def _is_plain(name: str) -> bool:
    if name in _PLAIN_NAMES:
        return True
    return name.split(".")[0] in _PLAIN and not name.startswith(("torch.nn.modules", "torch.optim"))


def _name_classes(data: bytes) -> Iterator[str]:
    """Dotted names of the classes and functions that pickles one after the other name."""
    texts: list[str] = []
    file = io.BytesIO(data)
    try:
        for _ in range(_PICKLES):
            for code, argument, _ in pickletools.genops(file):
                if code.name == "GLOBAL":
                    yield str(argument).replace(" ", ".", 1)
                elif code.name == "STACK_GLOBAL":
                    yield ".".join(texts)
                elif isinstance(argument, str):
                    texts = [*texts[-1:], argument]
    except (ValueError, IndexError, EOFError):
        return  # what follows is no pickle; its loader will say


_JUDGES = {".json": _judge_json, ".safetensors": _judge_safetensors, ".bin": _judge_pickle}
