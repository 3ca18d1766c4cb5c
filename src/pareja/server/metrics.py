"""What the server has done so far, in the text format of Prometheus."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from threading import Lock

from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of the histogram of response times, in seconds."""

_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}


class Metrics:
    """Counts requests and runs of the encoders; any thread may call it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._durations = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0
        self._batches = self._batched_requests = self._items = 0

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer: its route with placeholders, not its path, which has no end."""
        with self._lock:
            self._requests[method, route, status] += 1
            self._durations[bisect_left(BUCKETS, seconds)] += 1
            self._seconds += seconds

    def count_batch(self, requests: int, items: int) -> None:
        """Count one run of an encoder for so many requests."""
        with self._lock:
            self._batches += 1
            self._batched_requests += requests
            self._items += items

    def render(self, pictures: int) -> str:
        """Return everything in Prometheus' text format, version 0.0.4.

        Parameters
        ----------
        pictures
            How many pictures the collection holds now.
        """
        with self._lock:
            requests = sorted(self._requests.items())
            durations = list(self._durations)
            seconds = self._seconds
            encoder = (
                ("runs", "Runs of an encoder.", self._batches),
                ("requests", "Requests that these runs answered.", self._batched_requests),
                ("items", "Texts and pictures embedded.", self._items),
            )
        lines = ["# HELP pareja_requests_total Answers.", "# TYPE pareja_requests_total counter"]
        lines += [
            f'pareja_requests_total{{method="{method}",route="{route}",status="{status}"}} {count}'
            for (method, route, status), count in requests
        ]
        name = "pareja_request_seconds"
        lines += [f"# HELP {name} Time until an answer is complete.", f"# TYPE {name} histogram"]
        total = 0
        for end, count in zip((*BUCKETS, "+Inf"), durations, strict=True):
            total += count
            lines.append(f'{name}_bucket{{le="{end}"}} {total}')
        lines += [f"{name}_sum {seconds:.6f}", f"{name}_count {total}"]
        for key, text, number in encoder:
            name = f"pareja_encoder_{key}_total"
            lines += [f"# HELP {name} {text}", f"# TYPE {name} counter", f"{name} {number}"]
        lines += [
            "# HELP pareja_pictures Pictures in the collection.",
            "# TYPE pareja_pictures gauge",
            f"pareja_pictures {pictures}",
        ]
        return "\n".join(lines) + "\n"


class Measured:
    """Counts every request that reaches it.

    Parameters
    ----------
    app
        What answers.
    metrics
        Where it is counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        start = time.perf_counter()

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_observed)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            seconds = time.perf_counter() - start
            self._metrics.count_request(method, route, status, seconds)
