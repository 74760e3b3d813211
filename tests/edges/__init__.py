"""The edge cases of the task: what the reference does with each, and what we do.

The reference is transformers' `pipeline("image-classification")`, called as a server of the task
calls it: with the image opened by Pillow, or with the request's `inputs` as they are, and with the
request's parameters by name. `python -m tests.edges` writes `docs/differences.md` anew.
"""

from tests.edges.case import EdgeCase
from tests.edges.configs import CONFIGS, LABEL_CASES, RULES, WEIGHTS
from tests.edges.formats import DAMAGE, FORMATS, NO_IMAGES
from tests.edges.orientation import ORIENTATION, SIZES
from tests.edges.outputs import OUTPUTS
from tests.edges.parameters import PARAMETERS
from tests.edges.requests import INPUTS

CASES: tuple[EdgeCase, ...] = (
    *(*INPUTS, *FORMATS, *NO_IMAGES, *DAMAGE, *ORIENTATION, *SIZES),
    *(*PARAMETERS, *LABEL_CASES, *RULES, *WEIGHTS, *CONFIGS, *OUTPUTS),
)
