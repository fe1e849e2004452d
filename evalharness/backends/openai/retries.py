"""Answers and failures in, whether a failed request may be asked again out: one budget for all requests of an endpoint.

As in gRPC's retry throttling and the AWS SDKs: a broken server is not asked many times for each of ten thousand requests.
"""

from __future__ import annotations

SHARE = 0.2  # of an answer: the retries it adds


class Retries:
    """A reserve of ``most`` retries: each takes one, each answer gives a SHARE of one back. Times as in ``Pace``.

    ``patience`` is how many seconds a server may do nothing but ask to wait.
    """

    def __init__(self, most: float, patience: float) -> None:
        self.left = self._most = most
        self._patience = patience
        self._since: float | None = None

    def answered(self) -> None:
        """Take in an answer."""
        self._since = None
        self.left = min(self._most, self.left + SHARE)

    def patient(self, now: float) -> bool:
        """Take in a reply that is no answer; say whether the first such reply since the last answer is recent enough."""
        self._since = now if self._since is None else self._since
        return now - self._since < self._patience

    def take(self) -> bool:
        """Take a retry from the reserve; say whether there was one."""
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True
