"""Writes what the fuzzer starts from: small good files of each kind, which it then spoils.

::

    python -m fuzz.seeds
"""

import base64
import io
import json
import pathlib
import struct
import tarfile
from collections.abc import Iterator

from PIL import Image

CORPUS = pathlib.Path(__file__).parent / "corpus"
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP", "TIFF", "JPEG2000", "PPM")


def _make_exif(order: str) -> bytes:
    mark = b"II" if order == "<" else b"MM"
    entries = (0x0112, 3, 1, 6, 0), (0x8769, 4, 1, 0, 26)
    packed = b"".join(
        struct.pack(f"{order}HHL", *entry[:3])
        + (
            struct.pack(f"{order}HH", *entry[3:])
            if entry[1] == 3
            else struct.pack(f"{order}L", entry[4])
        )
        for entry in entries
    )
    head = mark + struct.pack(f"{order}HL", 42, 8)
    return head + struct.pack(f"{order}H", len(entries)) + packed + bytes(4)


def _encode(name: str, mode: str = "RGB", **options: object) -> bytes:
    image = Image.linear_gradient("L").resize((9, 7)).convert(mode)
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def _list_images() -> Iterator[tuple[str, bytes]]:
    for name in _FORMATS:
        yield name.lower(), _encode(name)
    yield "jpeg-progressive", _encode("JPEG", progressive=True, exif=_make_exif("<"))
    yield "png-palette", _encode("PNG", "P")
    yield "png-16", _encode("PNG", "I;16")
    yield "gif-animated", _encode("GIF", save_all=True, append_images=[Image.new("RGB", (9, 7))])
    yield "tiff-tiles", _encode("TIFF", tile=(16, 16), compression="tiff_deflate")
    yield "pgm-text", b"P2 # grey\n2 2\n255\n0 64\n128 255\n"


def _list_archives() -> Iterator[tuple[str, bytes]]:
    for kind, number in (("ustar", tarfile.USTAR_FORMAT), ("pax", tarfile.PAX_FORMAT)):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=number) as archive:
            for name in ("a.jpg", "ä/" + "n" * 110 + ".png", "notes.txt"):
                member = tarfile.TarInfo(name if kind == "pax" else name[-40:])
                member.size = 5
                archive.addfile(member, io.BytesIO(b"image"))
            link = tarfile.TarInfo("b.jpg")
            link.type, link.linkname = tarfile.LNKTYPE, "a.jpg"
            archive.addfile(link)
        yield kind, file.getvalue()


def _list_requests() -> Iterator[tuple[str, bytes]]:
    text = base64.b64encode(b"not looked at").decode()
    for name, value in {
        "plain": {"inputs": text},
        "all": {
            "id": "ä7",
            "inputs": text,
            "parameters": {"top_k": 3, "function_to_apply": "none"},
        },
        "uri": {"id": 7, "inputs": f"data:image/png;base64,{text}", "parameters": None},
    }.items():
        yield name, json.dumps(value).encode() + b"\n"


def _list_manifests() -> Iterator[tuple[str, bytes]]:
    yield "csv", b'uri,a,b.c\r\nx.jpg,1,"two, ""quoted"""\r\n../y.png,,\r\n'
    yield "csv-escaped", b'uri,a,b.c\n"x\\"1.jpg",1,2\n"multi\nline.jpg",3,4\n'
    yield "jsonl", b'{"uri": "gs://b/x.jpg", "a": [1], "b": {"c": null}}\n\n{"uri": 5}\n'
    yield "text", "memory://fuzz/ä.jpg\nfile:///etc/passwd\nx.tar\n".encode()
    yield "utf-16", "uri,a,b.c\nx.jpg,1,2\n".encode("utf-16")


def _list_uris() -> Iterator[tuple[str, bytes]]:
    for name, text in {
        "bucket": "gs://bucket/photos/ä b.jpg",
        "s3": "s3://bucket/a?versionId=1#x.png",
        "password": "https://user:secret@host/x.jpg",
        "nested": "gs://file:///etc/passwd",
        "relative": "./a/../b[1]*?.jpg",
        "local": "file://localhost/tmp/x.jpg",
        "azure": "abfss://container@account.dfs.core.windows.net/x.jpg",
    }.items():
        yield name, text.encode()


def _list_configs() -> Iterator[tuple[str, bytes]]:
    labels = {"id2label": {"0": "cat", "1": "dog"}, "label2id": {"cat": 0, "dog": "1"}}
    yield "vit", json.dumps({"model_type": "vit", "num_labels": 2, **labels}).encode()
    yield "code", json.dumps({"model_type": "own", "auto_map": {"AutoConfig": "x.y"}}).encode()
    yield "regression", json.dumps({"problem_type": "regression", "id2label": None}).encode()


SEEDS = {
    "headers": _list_images,
    "images": _list_images,
    "exif": lambda: iter([("little", _make_exif("<")), ("big", b"Exif\0\0" + _make_exif(">"))]),
    "tar": _list_archives,
    "requests": _list_requests,
    "manifests": _list_manifests,
    "uris": _list_uris,
    "configs": _list_configs,
}


def main() -> None:
    """Writes the files that are not there; what fuzzing has added stays."""
    for target, seeds in SEEDS.items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds():
            path = folder / name
            if not path.exists():
                path.write_bytes(data)


if __name__ == "__main__":
    main()
