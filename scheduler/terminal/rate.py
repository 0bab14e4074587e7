"""How fast a stage is now, from what it has done in the last minute or so. Pure."""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 60.0
FEWEST_STEPS = 20
RESOLUTION_SECONDS = 0.25


class Rate:
    """Pairs per second over a sliding window.

    The window is the last minute, or longer where fewer than 20 results fell into it: an editor of 50 denoising steps
    seldom finishes a pair. What was done before the start (a resumed run) does not count.
    """

    def __init__(self, now: float, done: int) -> None:
        self._points: deque[tuple[float, int]] = deque([(now, done)])

    def note(self, now: float, done: int) -> None:
        """``done`` pairs are done at ``now``, in seconds of any monotonic clock."""
        points = self._points
        if len(points) > 1 and now - points[-2][0] < RESOLUTION_SECONDS:
            points[-1] = (now, done)
        else:
            points.append((now, done))
        while len(points) > FEWEST_STEPS and now - points[1][0] > WINDOW_SECONDS:
            points.popleft()

    def per_second(self, now: float) -> float | None:
        """The rate up to ``now``, None until shortly after the first result. It falls while nothing happens."""
        since, at_first = self._points[0]
        done = self._points[-1][1] - at_first
        return done / (now - since) if done > 0 and now - since >= RESOLUTION_SECONDS else None

    def remaining(self, now: float, total: int) -> float | None:
        """Seconds until all of ``total`` are done at this rate; None while there is no rate."""
        left = total - self._points[-1][1]
        if left <= 0:
            return 0.0
        rate = self.per_second(now)
        return None if rate is None else left / rate
