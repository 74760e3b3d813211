"""Which of the listed images a run wants: all, what no published run has scored, or what failed.

::

    inputs ─▶ list ─▶ ImageRef ───┐
    earlier rows ─────▶ KnownRow ─┴▶ select ─▶ wanted, or Skipped

Where the work is spread, this is a join by URI: neither side has to fit anywhere. One local worker
joins on its disk. Either way a reference is taken once, however often it is listed.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.typehints.decorators import no_annotations

from imgcls_beam.elements import ImageRef, Skipped
from imgcls_beam.errors import PublishError
from imgcls_beam.listing import (
    Distinct,
    Listed,
    carried_text,
    group_few,
    list_distinct,
    ref_of,
    spool,
    uri_digest,
)
from imgcls_beam.metrics import count_found, count_listed, count_passed_over, count_skipped
from imgcls_beam.options import InputOptions, ReadOptions
from imgcls_beam.passed_over import PassedOver
from imgcls_beam.reading import fill_versions, look_up_versions
from imgcls_beam.rows import replace_surrogates
from imgcls_beam.sinks.history import (
    HistoryFile,
    Kind,
    KnownRow,
    Selection,
    find_history,
    read_known_rows,
)
from imgcls_beam.transforms import LISTED, PASSED_OVER, SpreadImages, list_counted
from imgcls_beam.upstream import Lists

_SKIPPED = "skipped"
_LOOK_UP_TOGETHER = 64


class Selected(NamedTuple):
    """What `SelectImages` gives.

    Attributes:
        wanted: `ImageRef | Failure`, to be classified.
        skipped: `Skipped`, for the table.
    """

    wanted: beam.PCollection
    skipped: beam.PCollection


@dataclasses.dataclass(eq=False)
class SelectImages(beam.PTransform, Lists):
    """Lists inputs and selects among them; gives `Selected`.

    Attributes:
        options: what to list. A limit counts wanted images; a run with a limit selects in one
            worker.
        selection: which of them are wanted.
        read: how stores are asked for the versions of images that a manifest names.
        is_spread: see `ListImages`.
    """

    options: InputOptions
    selection: Selection
    read: ReadOptions = ReadOptions()
    is_spread: bool = True

    # Beam has no type hint for several outputs, and warns of this one.
    @no_annotations  # type: ignore[untyped-decorator]
    def expand(self, pbegin: beam.Pipeline) -> Selected:
        """Joins by URI, or on the disk of one worker."""
        inputs = pbegin | "Inputs" >> beam.Create([self.options])
        if self.is_spread and self.options.limit is None:
            return self._join(inputs, pbegin)
        select = beam.FlatMap(_select_once, self.selection, self.read, spools=not self.is_spread)
        select = select.with_outputs(_SKIPPED, PASSED_OVER, main="wanted")
        chosen = inputs | "SelectOnce" >> select
        self.passed_over = chosen[PASSED_OVER]
        wanted = chosen.wanted | "Spread" >> SpreadImages() if self.is_spread else chosen.wanted
        return Selected(wanted, chosen.skipped)

    def _join(self, inputs: beam.PCollection, pbegin: beam.Pipeline) -> Selected:
        found = inputs | "List" >> beam.FlatMap(list_counted).with_outputs(PASSED_OVER, main=LISTED)
        self.passed_over, listed = found[PASSED_OVER], found[LISTED]
        if self.selection.only == "new" and self.options.manifest is not None:
            listed = (
                listed
                | "SpreadNamed" >> beam.Reshuffle()
                | "Batch" >> beam.BatchElements(_LOOK_UP_TOGETHER, _LOOK_UP_TOGETHER)
                | "LookUp" >> beam.FlatMap(look_up_versions, self.read)
            )
        known = (
            pbegin
            | "Selection" >> beam.Create([self.selection])
            | "FindHistory" >> beam.FlatMap(_find_sources)
            | "SpreadHistory" >> beam.Reshuffle()
            | "ReadHistory" >> beam.FlatMap(_read_source)
        )
        keyed = {
            "listed": listed | "KeyListed" >> beam.Map(_key),
            "known": known | "KeyKnown" >> beam.Map(_key_known),
        }
        select = beam.FlatMap(_select_joined, self.selection).with_outputs(_SKIPPED, main="wanted")
        chosen = keyed | "Join" >> beam.CoGroupByKey() | "Select" >> select
        return Selected(chosen.wanted | "Spread" >> SpreadImages(), chosen.skipped)


def _find_sources(selection: Selection) -> Iterator[HistoryFile | Selection]:
    """Where the rows of a selection are: files, or the table, which one worker reads."""
    return iter((selection,)) if selection.output is None else find_history(selection)


def _read_source(source: HistoryFile | Selection) -> Iterator[KnownRow]:
    if isinstance(source, HistoryFile):
        yield from read_known_rows(source)
        return
    from imgcls_beam.warehouse import read_table_history

    yield from read_table_history(source)


def _select_once(
    options: InputOptions, selection: Selection, read: ReadOptions, spools: bool
) -> Iterator[Any]:
    """Selects in one worker; known rows lie on its disk.

    With `spools` everything is listed before the first is given: so a terminal can say how much is
    left.
    """
    passed_over = PassedOver()
    chosen = select_on_disk(options, selection, read, passed_over)
    yield from map(_tag, spool(map(_count, chosen)) if spools else chosen)
    count_passed_over(passed_over)
    yield beam.pvalue.TaggedOutput(PASSED_OVER, passed_over)


def select_on_disk(
    options: InputOptions, selection: Selection, read: ReadOptions, passed_over: PassedOver
) -> Iterator[Listed | Skipped]:
    """Lists and selects in this process; neither side of the join is in memory.

    Args:
        options: what to list.
        selection: which of it is wanted.
        read: how stores are asked for the versions of images that a manifest names.
        passed_over: where what is listed beside images is counted.

    Yields:
        What is wanted, and a `Skipped` for what an earlier run has scored.

    Raises:
        PublishError: to take an image would double its row.
    """
    every = dataclasses.replace(options, limit=None)
    listed: Iterable[Listed] = list_distinct(every, passed_over)
    if selection.only == "new":
        listed = fill_versions(listed, read)
    taken = 0
    with Distinct() as known:
        for source in _find_sources(selection):
            for row in _read_source(source):
                known.add(_to_element(row))
        for each in listed:
            chosen = _choose(each, selection, known)
            taken += chosen is each
            if chosen is not None:
                yield chosen
            if taken == options.limit:
                return


def _count(chosen: Listed | Skipped) -> Listed | Skipped:
    if not isinstance(chosen, Skipped):
        copies = 1 + ref_of(chosen).duplicates
        count_found(copies)
        count_listed(copies)
    return chosen


def _select_joined(
    group: tuple[bytes, dict[str, Iterable[Any]]], selection: Selection
) -> Iterator[Any]:
    """Takes the references to one image, with all that is known of it."""
    known = set(group[1]["known"])
    for listed in group_few(group[1]["listed"]):
        chosen = _choose(listed, selection, known)
        if chosen is not None:
            yield _tag(chosen)


def _tag(chosen: Listed | Skipped) -> Any:  # noqa: ANN401 - Beam's class is untyped
    if not isinstance(chosen, Skipped):
        return chosen
    count_skipped()
    return beam.pvalue.TaggedOutput(_SKIPPED, chosen)


def _choose(
    listed: Listed, selection: Selection, known: Distinct | set[bytes]
) -> Listed | Skipped | None:
    """Gives what becomes of a listed image: itself, a skipped row, or nothing in this run.

    Args:
        listed: the image.
        selection: which images are wanted.
        known: what earlier rows say, see `_to_element`.

    Raises:
        PublishError: to take it would double its row.
    """
    ref = ref_of(listed)
    found = {kind for kind in Kind if _to_element(_to_row(kind, ref)) in known}
    if selection.only == "errors":
        return listed if Kind.FAILED in found else None
    if Kind.PRESENT in found and selection.only == "new":
        return None
    if Kind.PRESENT in found:
        problem = "--only=new leaves out what the run holds already"
        raise PublishError(f"run {selection.run_id} already has a row of {ref.uri}; {problem}")
    is_same = Kind.SCORED in found and ref.version is not None
    return Skipped(ref, selection.scoring) if selection.only == "new" and is_same else listed


def _to_element(row: KnownRow) -> bytes:
    """What a set holds of a known row."""
    version = b"" if row.version is None else b"\0" + replace_surrogates(row.version).encode()
    said = row.digest + row.kind.encode() + row.reference + version
    return hashlib.blake2b(said, digest_size=16).digest()


def _to_row(kind: Kind, ref: ImageRef) -> KnownRow:
    """What a row of that kind would say of a reference."""
    uri = replace_surrogates(ref.uri)
    said = ref.version if kind is Kind.SCORED else carried_text(ref)
    return KnownRow.of_row(kind, uri, None if said is None else replace_surrogates(said))


def _key(listed: Listed) -> tuple[bytes, Listed]:
    return _digest_of(listed), listed


def _key_known(row: KnownRow) -> tuple[bytes, bytes]:
    return row.digest, _to_element(row)


def _digest_of(listed: Listed) -> bytes:
    return uri_digest(replace_surrogates(ref_of(listed).uri))
