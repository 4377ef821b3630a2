"""An answer on its way piece by piece, from a runtime to whoever called: bounded, and ended by the result."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.records import Reader


class AnswerStream:
    """Pieces in, pieces out. A runtime that is faster than its caller waits; a caller that has gone is no hindrance."""

    def __init__(self) -> None:
        self.began: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
        """Gets the content type and the version as soon as the runtime begins; an answer in one leaves it alone."""
        self._pieces: deque[bytes] = deque()
        self._bytes = self._total_bytes = 0
        self._news = asyncio.Event()
        self._reader: Reader | None = None
        self._ended = self._left = False

    def begin(self, content_type: str, executed_version: str, reader: Reader) -> None:
        """The runtime begins to answer."""
        self._reader = reader
        if not self.began.done():
            self.began.set_result((content_type, executed_version))

    def feed(self, piece: bytes) -> bool:
        """Take a piece; return whether the answer may be so long."""
        self._total_bytes += len(piece)
        if self._total_bytes > limits.STREAMED_RESPONSE_BYTES_MAX:
            return False
        if self._left:
            return True
        self._pieces.append(piece)
        self._bytes += len(piece)
        if self._bytes > limits.STREAM_BACKLOG_BYTES_MAX and self._reader is not None:
            self._reader.pause()
        self._news.set()
        return True

    def end(self) -> None:
        """No more pieces come."""
        self._ended = True
        self._news.set()

    def leave(self) -> None:
        """Nobody reads any more."""
        self._left = True
        self._pieces.clear()
        if self._reader is not None:
            self._reader.resume()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield what comes, until the end."""
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                was_full = self._bytes > limits.STREAM_BACKLOG_BYTES_MAX
                self._bytes -= len(piece)
                if was_full and self._bytes <= limits.STREAM_BACKLOG_BYTES_MAX and self._reader is not None:
                    self._reader.resume()
                yield piece
            if self._ended:
                return
            self._news.clear()
            await self._news.wait()


class Gathered:
    """A streamed answer for a caller who wants it whole."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._bytes = 0

    def feed(self, piece: bytes) -> None:
        """Take a piece; of an answer that is too large nothing is kept."""
        self._bytes += len(piece)
        if self._bytes > limits.RESPONSE_BYTES_MAX:
            self._pieces.clear()
        else:
            self._pieces.append(piece)

    def take(self) -> bytes | None:
        """Return the whole answer; None if it is too large."""
        return None if self._bytes > limits.RESPONSE_BYTES_MAX else b"".join(self._pieces)
