"""Whether a model still is what it was when it was loaded, and fails on images or by itself.

A device that fails, weights that were overwritten, a defect that shows after the hundredth image:
none of them is an image's fault, and rows that say so would be wrong by the thousand. So the model
is asked about two pictures when it is loaded, and again whenever it fails, gives what is no number,
or has predicted many images.
"""

import collections
import threading
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from imgcls_beam.classifying import Classifier, Logits
from imgcls_beam.classifying.watchdog import WATCHDOG
from imgcls_beam.elements import ModelInputs
from imgcls_beam.errors import SickModelError
from imgcls_beam.stopping import is_worker, stop_process

_FIRST_IMAGES, _MOST_IMAGES = 64, 1024
"""Predicted between two checks: at first, and later on. Two images in 1,024 cost 0.2 %."""

_RECENT, _MOST_FAILED = 100, 50
"""So many of the images that were predicted lately may fail in a model that is well."""

_SPREAD_RATIO = 0.1
"""Of what lies between the best and the worst score of a picture; and …"""
_ROUNDINGS = 16.0
"""… so many roundings of the largest one: engines may change, and sums run in other orders."""
_DIGITS = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}

DrawPictures = Callable[[], Sequence[ModelInputs]]
"""Inputs of pictures of one shape, which the model is known to take."""


class Health:
    """What one process knows of the health of one model; threads share it."""

    def __init__(self, classifier: Classifier, draw: DrawPictures) -> None:
        """Asks nothing yet.

        Args:
            classifier: the model; it is not kept alive.
            draw: gives the same pictures each time.
        """
        self._find, self._draw = weakref.ref(classifier), draw
        self._lock = threading.Lock()
        self._known: Logits | None = None
        self._images = self._since = 0
        self._recent: collections.OrderedDict[Hashable, bool] = collections.OrderedDict()

    def learn(self) -> bool:
        """Asks the model, and keeps what it says; once.

        Returns:
            Whether its scores are finite.
        """
        if self._known is None:
            logits = self._ask()
            if not np.isfinite(logits).all():
                return False
            self._known = logits
        return True

    def check(self) -> None:
        """Asks the model again.

        Raises:
            SickModelError: it fails, or says something else than when it was loaded.
        """
        try:
            logits = self._ask()
        except Exception as error:
            raise self._give_up(
                "fails on pictures that it could score when it was loaded"
            ) from error
        if not np.isfinite(logits).all():
            raise self._give_up("gives scores that are NaN or infinite to pictures that had others")
        if self._known is not None and not self._is_near(logits, self._known):
            raise self._give_up("gives other scores to the same pictures than when it was loaded")
        with self._lock:
            self._since = 0

    def note(self, failed: Mapping[Hashable, bool], *, is_odd: bool) -> None:
        """Is told of a batch that the model has predicted.

        Args:
            failed: whether the model failed, by what stands for an image's content: one bad image
                may have many copies.
            is_odd: whether a score was no number.

        Raises:
            SickModelError: as `check` does; or the model failed on most images lately.
        """
        with self._lock:
            self._images += len(failed)
            self._since += len(failed)
            self._recent.update(failed)
            while len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
            is_due = self._since >= min(_MOST_IMAGES, max(_FIRST_IMAGES, self._images // 2))
            count = sum(self._recent.values())
        if is_odd or is_due:
            self.check()
        if count > _MOST_FAILED:
            problem = f"the model failed on {count} of the last {_RECENT} images, and not on others"
            raise SickModelError(f"{problem}: --dtype=float32 may help, or another model")

    def _ask(self) -> Logits:
        classifier = self._find()
        assert classifier is not None  # who asks has it
        with WATCHDOG.watch():
            return classifier.classify(self._draw()).logits

    def _is_near(self, found: Logits, known: Logits) -> bool:
        classifier = self._find()
        dtype = "float32" if classifier is None else classifier.describe().dtype
        largest = float(np.abs(known).max())
        spread = float(np.ptp(known, axis=1).max()) or largest
        allowed = _SPREAD_RATIO * spread + _ROUNDINGS * _DIGITS.get(dtype, 2.0**-7) * largest
        return found.shape == known.shape and float(np.abs(found - known).max()) <= allowed

    def _give_up(self, problem: str) -> SickModelError:
        """What to raise. A worker whose device is gone ends: a new one may have another."""
        reason = f"the model {problem}: it is sick, or its device is"
        classifier = self._find()
        if classifier is not None and classifier.describe().device != "cpu" and is_worker():
            stop_process(reason)
        return SickModelError(reason)


_KNOWN: dict[int, tuple[Callable[[], Classifier | None], Health]] = {}
_FINDING = threading.Lock()


def find_health(classifier: Classifier, draw: DrawPictures) -> Health:
    """What this process knows of the health of a model: the same as long as the model lives."""
    key = id(classifier)
    with _FINDING:
        if key in _KNOWN and _KNOWN[key][0]() is classifier:
            return _KNOWN[key][1]
        health = Health(classifier, draw)
        # By identity: not every model can be hashed, and a number may be another model's later.
        _KNOWN[key] = weakref.ref(classifier, lambda _: _forget(key, health)), health
        return health


def _forget(key: int, health: Health) -> None:
    if key in _KNOWN and _KNOWN[key][1] is health:
        del _KNOWN[key]
