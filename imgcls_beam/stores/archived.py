"""Objects in an archive: they are there, and may be read only once they were restored.

S3 refuses objects of Glacier and Deep Archive with `InvalidObjectState`, and so do stores that
speak its language, GCS by its XML API among them; Azure refuses those of its archive tier with
`BlobArchived`. All of them are a 403 or a 409, as a refusal of the credentials is.
"""

from collections.abc import Iterator

_CODES = frozenset({"InvalidObjectState", "BlobArchived", "BlobBeingRehydrated"})


def is_archived(error: BaseException) -> bool:
    """Whether a store refused an object because it is archived."""
    return any(not _CODES.isdisjoint(_list_codes(each)) for each in _list_causes(error))


def _list_causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _list_codes(error: BaseException) -> Iterator[str]:
    """The words in which a store may have said why: botocore's, azure's, gcsfs's."""
    response = getattr(error, "response", None)
    details = response.get("Error") if isinstance(response, dict) else None
    if isinstance(details, dict):
        yield str(details.get("Code"))
    code = getattr(error, "error_code", None)
    yield str(getattr(code, "value", code))  # Azure's are an enumeration
    # gcsfs gives the store's words below the object's name.
    said = "\n".join(map(str, error.args)).partition("\n")[2]
    yield from (code for code in _CODES if code in said)
