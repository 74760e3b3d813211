"""One model per process, however many threads and transforms ask for it."""

import threading
import weakref

from imgcls_beam.classifying.protocol import Classifier, ClassifierSpec

_LOADED: weakref.WeakValueDictionary[ClassifierSpec, Classifier] = weakref.WeakValueDictionary()
_LOADING = threading.Lock()


def load_classifier(spec: ClassifierSpec, *, is_copy: bool = False) -> Classifier:
    """Loads a model, or gives back the one that this process already holds.

    The process forgets a model when nobody holds it any more.

    Args:
        spec: which model, on what.
        is_copy: load one more in any case, for the caller alone.

    Raises:
        ModelError: it cannot be loaded, or would predict at random.
    """
    from imgcls_beam.classifying.huggingface import HuggingFaceClassifier

    with _LOADING:
        if is_copy:
            return HuggingFaceClassifier(spec)
        classifier = _LOADED.get(spec)
        if classifier is None:
            classifier = HuggingFaceClassifier(spec)
            _LOADED[spec] = classifier
        return classifier
