"""Connections to the page that never send a whole request, closed in time.

uvicorn waits without end for the head of a request. Here a connection has some seconds for it, and
of many that wait the oldest are closed first.
"""

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 5.0
SLOW_SECONDS = 1.0
HALF_OPEN = 64
"""Where more connections than this wait for a head, the oldest goes if it has waited so long."""


class Connection(H11Protocol):
    """A connection of uvicorn's that does not wait for the head of a request without end."""

    _waiting: ClassVar[dict["Connection", asyncio.TimerHandle]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Wait on, where the head is not whole yet."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self not in self._waiting:
            end = self.loop.time() + HEAD_SECONDS
            self._waiting[self] = self.loop.call_at(end, self.transport.abort)
            oldest, timer = next(iter(self._waiting.items()))
            if len(self._waiting) > HALF_OPEN and timer.when() <= end - SLOW_SECONDS:
                oldest._forget()
                oldest.transport.abort()

    def _forget(self) -> None:
        timer = self._waiting.pop(self, None)
        if timer:
            timer.cancel()
