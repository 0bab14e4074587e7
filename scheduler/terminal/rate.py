"""How fast a stage goes at present, from what it has done in the last minute or so. Reads no clock of its own."""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 60.0
FEWEST_STEPS = 20
RESOLUTION_SECONDS = 0.25


class Rate:
    """Pairs per second over a sliding window.

    The window reaches back a minute, and further where fewer than 20 steps fell into it: an editor of 50 denoising
    steps finishes a pair only now and then. What was done before the start (a resumed run) does not count.
    """

    def __init__(self, now: float, done: int) -> None:
        self._points: deque[tuple[float, int]] = deque([(now, done)])

    def note(self, now: float, done: int) -> None:
        """``done`` pairs are through at ``now``, in seconds of any clock that does not run backwards."""
        points = self._points
        if len(points) > 1 and now - points[-2][0] < RESOLUTION_SECONDS:
            points[-1] = (now, done)
        else:
            points.append((now, done))
        while len(points) > FEWEST_STEPS and now - points[1][0] > WINDOW_SECONDS:
            points.popleft()

    def per_second(self, now: float) -> float | None:
        """The rate up to ``now``, null while nothing is done and for a moment after. It falls while nothing happens."""
        since, at_first = self._points[0]
        done = self._points[-1][1] - at_first
        return done / (now - since) if done > 0 and now - since >= RESOLUTION_SECONDS else None

    def remaining(self, now: float, total: int) -> float | None:
        """Seconds until all of ``total`` are through at this rate; null where there is no rate yet."""
        left = total - self._points[-1][1]
        if left <= 0:
            return 0.0
        rate = self.per_second(now)
        return None if rate is None else left / rate
