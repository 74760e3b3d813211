"""A store that does not answer while it is listed: the run ends, instead of leaving images out.

What an archive or a folder holds is known to nobody then. A row for it would hide thousands of
images behind one error, and no retry could name them. So the client has waited as long as it is to
(`stores.patience`), and the run ends with a sentence.

A host of the web is one of many, and a disk that fails in one place is read in the others: there
it is a row.
"""

from imgcls_beam.errors import StoreError
from imgcls_beam.stores import FaultKind, kind_of, show_store, split_url

_WITHOUT_AN_ANSWER = (FaultKind.UNREACHABLE, FaultKind.NO_CREDENTIALS, FaultKind.EXPIRED)
_OF_MANY = ("http", "https", "file", "local")


def refuse_outage(uri: str, fault: BaseException) -> None:
    """Ends the run where a store has not said what it holds.

    Args:
        uri: an archive or a folder of it.
        fault: why it is not listed, as the store's client raised it.

    Raises:
        StoreError: the store does not answer, or takes no credentials.
    """
    if split_url(uri)[0] in _OF_MANY or kind_of(fault) not in _WITHOUT_AN_ANSWER:
        return
    problem, remedy = (
        ("does not answer", "start the run again when it does")
        if kind_of(fault) is FaultKind.UNREACHABLE
        else ("takes no credentials of this process", "renew them, and start the run again")
    )
    raise StoreError(
        f"{show_store(uri)} {problem}, so what {uri} holds is not known; {remedy}"
    ) from fault
