"""Decoding in child processes that can do nothing else.

A child is started with what it needs, locked, and handed one image after the other; pixels come
back through memory that both see, what is said of them as JSON. See docs/adr/0030.
"""

from imgcls_beam.sandbox.boxed_preparing import box_pool, prepare_in_box
from imgcls_beam.sandbox.own_box import find_state, start_box

__all__ = ["box_pool", "find_state", "prepare_in_box", "start_box"]
