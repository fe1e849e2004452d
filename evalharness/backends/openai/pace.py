"""How many requests an address gets at once, and how soon: fewer when it asks for patience, more while it answers.

Additive increase, multiplicative decrease (Chiu and Jain, 1989), as TCP has it: one cut an episode of congestion. Where
even one at once is too many, a rest between them goes on where the limit ends, as the pacing of TCP senders has it. Pure.
"""

from __future__ import annotations

import math

CUT = 0.5
SHARE = 0.05  # of a small limit: what an answer adds to it at most, so that few of the answers cost a refusal
SOON = 32  # answers in a row after which the limit grows twice as fast: what was short of capacity is not any more
REST = 1.0  # seconds between two requests at most, unless one takes longer
_SMOOTH = 1 / 8  # the share of the newest in the mean seconds a request takes (RFC 6298)


class Pace:
    """At most ``limit`` requests at once, up to ``most`` of them, and as many requests and tokens a minute as are allowed.

    All times are of one monotonic clock, in seconds. ``limit`` grows by one while as many requests as it allows are
    answered, more slowly below five, and sooner the longer none was refused. Told to wait, it is halved; requests that were
    under way then do not halve it again. Below ``most`` requests begin evenly: a limit of 0.5 is one request at a time, and
    after it a rest as long as it took. Requests and tokens a minute (``None``: any) are spread evenly as well.
    """

    def __init__(self, most: int, requests_per_minute: int | None = None, tokens_per_minute: int | None = None) -> None:
        self.most, self.limit = most, float(most)
        self.under_way = self.cuts = 0
        self._gap = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._token_gap = 60.0 / tokens_per_minute if tokens_per_minute else 0.0
        self._begun = self._answers = 0  # answers: since the last cut
        self._episode = 0  # requests begun before the last cut
        self._took: float | None = None  # seconds a request takes
        self._answered = False  # whether that is of answers
        self._not_before = self._next = self._next_tokens = 0.0

    def ready(self, now: float) -> float:
        """Return the seconds until a request may begin; infinite where one has to end first."""
        if self.under_way >= math.ceil(self.limit):
            return math.inf
        return max(0.0, max(self._not_before, self._next, self._next_tokens) - now)

    def begin(self, now: float, tokens: int) -> int:
        """Take in that a request begins that may take ``tokens``; return its number."""
        self._begun += 1
        self.under_way += 1
        if gap := max(self._gap, self._rest()):
            self._next = max(self._next, now) + gap
        if self._token_gap:
            self._next_tokens = max(self._next_tokens, now) + tokens * self._token_gap
        return self._begun

    def ended(self, number: int, answered: bool, seconds: float, unused: int = 0) -> None:
        """Take in that request ``number`` is over after ``seconds``, and whether it was ``answered`` (if not, the limit stays).

        ``unused`` tokens of those counted at its beginning were not taken (below 0: more were).
        """
        self.under_way -= 1
        self._next_tokens -= unused * self._token_gap
        if answered or not self._answered:
            fresh = self._took is None or answered > self._answered
            self._took = seconds if fresh or self._took is None else self._took + _SMOOTH * (seconds - self._took)
            self._answered = answered
        if answered and number > self._episode and self.limit < self.most:
            self._answers += 1
            step = min(1.0 / self.limit, SHARE * self.limit) * (1.0 + self._answers / SOON)
            self.limit = min(float(self.most), max(self.limit, self._least()) + step)

    def left(self, tokens: int) -> None:
        """Take in that a request that had begun was not sent."""
        self.under_way -= 1
        self._next_tokens -= tokens * self._token_gap

    def told_to_wait(self, number: int, seconds: float, now: float) -> bool:
        """Take in that request ``number`` was asked for patience and that none is welcome for ``seconds``; say if that cut.

        A cut is the first such reply of an episode: the requests begun before it do not cut again.
        """
        self._not_before = max(self._not_before, now + seconds)
        if number <= self._episode:
            return False
        self._episode, self._answers = self._begun, 0
        self.limit = max(self._least(), self.limit * CUT)
        self.cuts += 1
        return True

    def _rest(self) -> float:
        """Return the seconds between two beginnings that keep ``limit`` requests under way."""
        if self.limit >= self.most or self._took is None:
            return 0.0
        return min(self._took / self.limit, max(REST, self._took))

    def _least(self) -> float:
        """Return the limit at which the rest is longest; a lower one would only take longer to come back from."""
        return 1.0 if not self._took else min(1.0, self._took / REST)
