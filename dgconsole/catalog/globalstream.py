"""Python's and numpy's global random streams, seeded while a user's code runs and put back afterwards."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def global_stream(seed: int) -> Iterator[None]:
    """Inside the block ``numpy.random.*`` and ``random.*`` start from ``seed`` (0 <= seed < 2^32)."""
    numpys = np.random.get_state()
    pythons = random.getstate()
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(numpys)
        random.setstate(pythons)
