"""What the tests of the sandbox share: the need of one."""

from __future__ import annotations

import functools
import sys

import pytest

from evalharness.sandbox import available
from tests.conftest import skip_or_fail

why_not = functools.cache(available)


@pytest.fixture
def sandbox() -> None:
    """Need a sandbox; it is looked for once."""
    if sys.platform != "linux":
        pytest.skip("model output runs on Linux alone")
    if (why := why_not()) is not None:
        skip_or_fail(why)
