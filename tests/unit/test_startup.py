"""What is set while the programs start, and is as before afterwards."""

import gc

import pytest

from imgcls_beam.errors import ModelError
from pipelines import startup


def test_cycles_are_not_looked_for_meanwhile_and_are_afterwards() -> None:
    assert gc.isenabled()
    with startup.pause_collector():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_cycles_are_looked_for_again_after_a_failure() -> None:
    with pytest.raises(ModelError), startup.pause_collector():
        raise ModelError("it cannot be loaded")
    assert gc.isenabled()


def test_who_looks_for_no_cycles_is_left_so() -> None:
    gc.disable()
    try:
        with startup.pause_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_is_loaded_is_kept_out_of_the_search_for_cycles_once() -> None:
    gc.unfreeze()
    try:
        startup.keep_loaded()
        kept = gc.get_freeze_count()
        assert kept > 1000
        made: list[list[int]] = [[] for _ in range(1000)]
        startup.keep_loaded()
        assert gc.get_freeze_count() < kept + len(made)
    finally:
        gc.unfreeze()
