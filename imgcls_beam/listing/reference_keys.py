"""What makes two references one: the image they name, and what is carried with it."""

import hashlib

from imgcls_beam.attributes import encode_attributes, find_attributes_problem, tell_attributes
from imgcls_beam.elements import Failure, ImageRef

_DIGEST_BYTES = 16
_NESTED = "nested too deeply"


def row_digest(uri: str, attributes: str | None) -> bytes:
    """16 bytes that stand for a reference as its row has it: `image_uri` and `attributes`.

    A request's id is no part of it: each line of a request file has a URI of its own, and its id is
    not known before the line is read.
    """
    return _digest(uri, attributes)


def ref_of(listed: ImageRef | Failure) -> ImageRef:
    """The reference of what was listed."""
    return listed.ref if isinstance(listed, Failure) else listed


def reference_digest(ref: ImageRef) -> bytes:
    """16 bytes that stand for a reference: equal ones name one image and carry the same."""
    try:
        carried = None if ref.attributes is None else tell_attributes(ref.attributes)
    except RecursionError:
        carried = _NESTED
    return _digest(ref.uri, carried, ref.request_id)


def carried_text(ref: ImageRef) -> str | None:
    """What is carried with an image, as its row has it: None where it does not fit."""
    if ref.attributes is None or find_attributes_problem(ref.attributes) is not None:
        return None
    return encode_attributes(ref.attributes)


def is_bare(ref: ImageRef) -> bool:
    """Whether nothing is carried with the image: it yields to a line of a manifest that has."""
    return ref.attributes is None and ref.request_id is None


def _digest(uri: str, *carried: str | int | None) -> bytes:
    digest = hashlib.blake2b(uri.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES)
    for each in carried:
        if each is not None:
            digest.update(f"\0{type(each).__name__}{each}".encode("utf-8", "surrogatepass"))
    return digest.digest()
