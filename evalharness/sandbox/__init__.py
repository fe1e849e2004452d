"""Programs that a model wrote in, outcomes out: each runs in a sandbox of bubblewrap, or not at all.

What is promised, and against whom, is in docs/code.md.
"""

from __future__ import annotations

from evalharness.sandbox.bubblewrap import facts
from evalharness.sandbox.pool import available, run_programs
from evalharness.sandbox.records import Limits, Outcome, Program, Status

__all__ = ["Limits", "Outcome", "Program", "Status", "available", "facts", "run_programs"]
