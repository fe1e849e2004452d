"""The errors a user can mend: each carries its exit code and says what was asked, what there is, and what to do.

Tree (exit code):

    EvalHarnessError (1)
      UsageError (2)             wrong flags, names, files
        NotInCatalog             unknown name, with the nearest known one
        SpecError                a YAML file: file, line, key
        DataError                a data set that is missing or malformed
        ModelError               a model that cannot be loaded here
        SandboxError             model output that cannot be run here, for there is no sandbox
      BackendError (6)           an engine or endpoint that is unreachable, unauthorised, out of credit or died
      JournalError (1)           the journal is damaged or of another version
      Locked (7)                 another process writes to this results folder
      BudgetReached (5)          --max-cost was reached, everything flushed
      CoverageError (4)          too few verdicts for a ranking
      Interrupted (130 or 143)   stopped by a signal, everything flushed
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EvalHarnessError(Exception):
    """Base of all errors that are shown as a line, without a traceback."""

    exit_code = 1


class UsageError(EvalHarnessError):
    """A wrong flag, name or file; exit code 2."""

    exit_code = 2


class NotInCatalog(UsageError):
    """A name that nothing has: says the nearest known one, or what there is."""

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        known = sorted(known)
        super().__init__(f"{where}{': ' if where else ''}no {kind} named '{name}'; {suggestion(name, known)}")
        self.kind, self.name, self.known = kind, name, known


class SpecError(UsageError):
    """A mistake in a YAML file: ``file:line: key: what is wrong; the mend``."""

    def __init__(self, message: str, file: str = "", line: int | None = None, key: str = "") -> None:
        place = file if line is None else f"{file}:{line}"
        super().__init__(": ".join(part for part in (place, key, message) if part))
        self.message, self.file, self.line, self.key = message, file, line, key


class DataError(UsageError):
    """A data set or data row that is missing or malformed."""


class ModelError(UsageError):
    """A model that cannot be loaded here: its name, why, and what to install or change."""


class SandboxError(UsageError):
    """No sandbox can be made here, and model output runs in one only: why, and what to install or change."""


class BackendError(EvalHarnessError):
    """An engine or endpoint that is unreachable, unauthorised, out of credit, or died; exit code 6."""

    exit_code = 6


class JournalError(EvalHarnessError):
    """The journal is damaged, or written by another version."""


class Locked(EvalHarnessError):
    """Another process writes to this results folder; exit code 7."""

    exit_code = 7


class BudgetReached(EvalHarnessError):
    """The money of ``--max-cost`` is spent and everything that was answered is stored; exit code 5. In US dollars."""

    exit_code = 5

    def __init__(self, limit: float, spent: float, resume: str = "", prices: str = "") -> None:
        then = f"; go on with: {resume}" if resume else ""
        by = f" (prices: {prices})" if prices else ""
        super().__init__(
            f"--max-cost {limit:g} is reached: {spent:.4f} dollars spent{by}; everything done is stored{then}"
        )
        self.limit, self.spent = limit, spent


class CoverageError(EvalHarnessError):
    """Too few verdicts for a ranking; exit code 4."""

    exit_code = 4


class Interrupted(EvalHarnessError):
    """A signal stopped the run after everything done was stored; exit code 130 (SIGINT) or 143 (SIGTERM)."""

    def __init__(self, signal_number: int, resume: str = "") -> None:
        super().__init__("interrupted; everything done is stored" + (f"; go on with: {resume}" if resume else ""))
        self.exit_code = 128 + signal_number


def suggestion(name: str, known: Iterable[str], limit: int = 12) -> str:
    """Return ``did you mean 'x'?``, or the list of known names where none is near."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6) or [k for k in known if name and k.startswith(name)]
    if near:
        return f"did you mean '{near[0]}'?"
    if not known:
        return "there is none"
    shown = ", ".join(known[:limit]) + (f", … ({len(known)} in all)" if len(known) > limit else "")
    return f"there is: {shown}"
