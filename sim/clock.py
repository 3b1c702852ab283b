"""Simulated time: advanced by sleeping, paced by the wall only when asked, the same at every speed."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PS_PER_S = 1_000_000_000_000
_LAG_FORGIVEN_S = 0.5

Action = Callable[[], None]
Follower = Callable[[int], None]


class SimulatedClock:
    """A clock in whole picoseconds that moves only while someone sleeps on it.

    `speed` is the ratio of simulated to wall time; infinity does not wait at all. Since nothing but
    `sleep` moves it, a run meets the same instants at every speed.

    `schedule`d actions happen exactly at their time, in order. Followers (an emulated card, say) are
    called with the new time before any action at that time, in steps of at most `max_step_s`; a
    follower may block until whoever reads from it has kept up. While the clock is `lagging`, they are
    called later and in longer steps.
    """

    max_step_s = 0.1
    max_lag_s = 1.0

    def __init__(self, speed: float = math.inf) -> None:
        if not speed > 0:
            raise ValueError(f"speed = {speed!r} must be greater than 0")
        self.speed = speed
        self._now_ps = self._followed_ps = 0
        self._lagging = False
        self._lock = threading.RLock()
        self._agenda: list[tuple[int, int, Action]] = []
        self._order = itertools.count()
        self._followers: list[Follower] = []
        self._wall_origin: float | None = None
        self._wall_origin_ps = 0

    @property
    def now_ps(self) -> int:
        """Picoseconds since the bench was made (int)."""
        return self._now_ps

    def now(self) -> float:
        """Seconds since the bench was made (float)."""
        return self._now_ps / PS_PER_S

    def schedule(self, at_ps: int, action: Action) -> None:
        """Run `action` when the clock reaches `at_ps`; in the past means at the next move."""
        heapq.heappush(self._agenda, (at_ps, next(self._order), action))

    def follow(self, follower: Follower) -> None:
        """Call `follower(now_ps)` at every step, until `unfollow`."""
        self._followers.append(follower)

    def unfollow(self, follower: Follower) -> None:
        """Stop calling `follower`; does nothing when it is not followed."""
        if follower in self._followers:
            self._followers.remove(follower)

    def sleep(self, duration_s: float) -> None:
        """Let `duration_s` simulated seconds pass; several threads may do so at the same time."""
        with self._lock:
            target = self._now_ps + max(0, round(duration_s * PS_PER_S))
        while (wait_s := self._step_towards(target)) is not None:
            if wait_s > 0:
                time.sleep(wait_s)  # without the lock, so that others are not kept from what they do

    @contextmanager
    def lagging(self) -> Iterator[None]:
        """Within this, let the followers fall behind by up to `max_lag_s`, until `catch_up` and at the end.

        Only with the speed infinity: hundreds of short sleeps then cost no more than one long one. What
        the followers make does not depend on it; whoever changes what they see must `catch_up` first.
        """
        self._lagging = math.isinf(self.speed)
        try:
            yield
        finally:
            self._lagging = False
            self.catch_up()

    def catch_up(self) -> None:
        """Call the followers, if they are behind."""
        with self._lock:
            if self._followed_ps < self._now_ps:
                self._follow()

    def _step_ps(self) -> int:
        wall_step_s = 0.02 if math.isfinite(self.speed) else math.inf
        return max(1, round(min(self.max_step_s, wall_step_s * self.speed) * PS_PER_S))

    def _step_towards(self, target: int) -> float | None:
        """Take a step, or say for how many seconds to wait for the wall first; None at the target."""
        with self._lock:
            due = self._agenda[0][0] if self._agenda else target + 1
            step = min(target, max(due, self._now_ps), self._now_ps + self._step_ps())
            if step > self._now_ps and (ahead_s := self._ahead_s(step)) > 0:
                return ahead_s
            self._advance(step)
            if due <= step:
                heapq.heappop(self._agenda)[2]()
            elif step >= target:
                return None
            return 0.0

    def _advance(self, to_ps: int) -> None:
        self._now_ps = max(to_ps, self._now_ps)
        if not self._lagging or self._now_ps - self._followed_ps >= self.max_lag_s * PS_PER_S:
            self._follow()

    def _follow(self) -> None:
        self._followed_ps = self._now_ps
        for follower in tuple(self._followers):
            follower(self._now_ps)

    def _ahead_s(self, to_ps: int) -> float:
        """Seconds of the wall until `to_ps` may come; not above zero when it may come now."""
        if math.isinf(self.speed):
            return 0.0
        wall = time.monotonic()
        if self._wall_origin is None:
            self._wall_origin, self._wall_origin_ps = wall, self._now_ps
        ahead_s = (to_ps - self._wall_origin_ps) / PS_PER_S / self.speed - (wall - self._wall_origin)
        if ahead_s < -_LAG_FORGIVEN_S:  # nobody slept for a while: never race to catch up
            self._wall_origin, self._wall_origin_ps = wall, to_ps
        return ahead_s
