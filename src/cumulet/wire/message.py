"""HTTP as values: a frozen `Request` and `Response`. What a socket or ASGI is, nobody past `edge/` knows.

They are msgspec structs, since a frozen dataclass takes ten times as long to make, and every request makes several.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from operator import eq
from typing import Protocol

import msgspec


class _Find(Protocol):
    def __call__(self, name: str, default: str | None = None, /) -> str | None: ...


class Headers:
    """Header fields in order, looked up without regard to case. Names are kept in lower case, and as they were sent."""

    __slots__ = ("_first", "_sent", "get", "items", "repeats")

    _first: dict[str, str]
    _sent: Sequence[tuple[bytes, bytes]]

    get: "_Find"
    """Returns the first value of a header whose name is given in lower case. It is the dictionary's own function, since
    a request is asked for a dozen of its headers."""

    items: tuple[tuple[str, str], ...]
    repeats: bool
    """Whether any name stands there more than once."""

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        given = tuple(items)
        lower = tuple([(name.lower(), value) for name, value in given])
        _fill(self, lower, [(name.encode("latin-1", "replace"), b"") for name, _ in given])

    @staticmethod
    def of_lower_case(items: tuple[tuple[str, str], ...], sent: Sequence[tuple[bytes, bytes]] = ()) -> "Headers":
        """Return headers whose names are in lower case already, as the edge has them; `sent` are those of the client.

        What is made from other headers has none, and goes without.
        """
        return _fill(_new(Headers), items, sent)

    def followed_by(self, sent: Sequence[tuple[bytes, bytes]]) -> "Headers | None":
        """Return the headers of a client's next head if it has the same names, reading those alone that changed."""
        before = self._sent
        if len(before) != len(sent) or self.repeats:
            return None
        same = list(map(eq, sent, before))
        if False not in same:
            return self
        items = list(self.items)
        first = self._first.copy()
        for place in [place for place, is_same in enumerate(same) if not is_same]:
            name, value = sent[place]
            if name != before[place][0]:
                return None
            key = items[place][0]
            first[key] = text = field_text(value)
            items[place] = key, text
        return _set(_new(Headers), tuple(items), sent, first)

    def spellings(self) -> dict[str, str]:
        """Return the names as the client wrote them, by their lower case; the first spelling of each counts."""
        if not self._sent:
            return {}
        pairs = [(name, sent.decode("latin-1")) for (name, _), (sent, _) in zip(self.items, self._sent, strict=True)]
        return dict(reversed(pairs))

    def get_all(self, name: str) -> list[str]:
        """Return every value of a header whose name is given in lower case."""
        return [value for key, value in self.items if key == name]

    def has_several(self, name: str) -> bool:
        """Tell whether a header whose name is given in lower case stands there more than once."""
        return self.repeats and len(self.get_all(name)) > 1

    def __contains__(self, name: str) -> bool:
        return name in self._first

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.items)

    def __repr__(self) -> str:
        return f"Headers({list(self.items)!r})"


_new = object.__new__


def _fill(headers: Headers, items: tuple[tuple[str, str], ...], sent: Sequence[tuple[bytes, bytes]]) -> Headers:
    return _set(headers, items, sent, dict(reversed(items)))


def _set(
    headers: Headers, items: tuple[tuple[str, str], ...], sent: Sequence[tuple[bytes, bytes]], first: dict[str, str]
) -> Headers:
    headers.items = items
    headers._sent = sent
    headers._first = first
    headers.get = first.get  # type: ignore[assignment]
    headers.repeats = len(first) < len(items)
    return headers


def field_text(value: bytes) -> str:
    """Return a header's value as text, without the blanks behind it: the parser leaves those (RFC 9110, 5.5)."""
    return value.rstrip(b" \t").decode("latin-1")


class Request(msgspec.Struct, frozen=True):
    """One HTTP request with its whole body; `edge` has bounded its size."""

    method: str
    path: str
    """As it was sent: percent-encoded, without the query string."""
    query: str
    """As it was sent, without the question mark."""
    headers: Headers
    body: bytes = b""
    scheme: str = "http"
    client_ip: str = "127.0.0.1"
    http_version: str = "1.1"
    head_bytes: int = 0
    """How long the URL and the headers were together, exactly where that is much; 0 if they came over no socket."""

    @property
    def host(self) -> str:
        """The Host header, with its port if it has one; empty if there is none."""
        return self.headers.get("host") or ""


class BrokeOff(Exception):
    """What makes a streamed body raises it: what has come is not all, and the client shall see that."""


async def close_body(body: AsyncIterator[bytes]) -> None:
    """Tell whoever makes a body that no more of it is read."""
    if (aclose := getattr(body, "aclose", None)) is not None:
        await aclose()


class BegunBody:
    """What was read of a body already, then the rest.

    No generator, since one that has not begun cannot be told of its end.
    """

    def __init__(self, first: bytes, rest: AsyncIterator[bytes]) -> None:
        self._first = first
        self._rest = rest

    def __aiter__(self) -> "BegunBody":
        return self

    async def __anext__(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return await anext(self._rest)

    async def aclose(self) -> None:
        """Read no more."""
        await close_body(self._rest)


class Response(msgspec.Struct, frozen=True):
    """One HTTP answer. A streamed body is sent chunk by chunk as it is made."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | AsyncIterator[bytes] = b""

    def with_headers(self, *more: tuple[str, str]) -> "Response":
        """Return this answer with headers added."""
        return Response(self.status, self.headers + more, self.body)
