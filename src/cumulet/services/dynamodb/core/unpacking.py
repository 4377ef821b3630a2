"""Compressed objects, unpacked in pieces that are never large, whatever they are packed from."""

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from cumulet.services.dynamodb.core.limits import IMPORT_READ_BYTES


class NotPacked(ValueError):
    """These bytes are not compressed as they should be."""


class Unpacker(Protocol):
    """Takes the bytes of one object."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what these bytes unpack to. Raises NotPacked."""
        ...

    def finish(self) -> None:
        """Raise NotPacked if the object ended too early."""
        ...


class Plain:
    """Leaves an object as it is."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> None:
        return


class Unzip:
    """Unpacks gzip of one or several members."""

    def __init__(self) -> None:
        self._unpack = zlib.decompressobj(wbits=31)
        self._is_whole = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            while data:
                if self._unpack.eof:
                    self._unpack = zlib.decompressobj(wbits=31)
                yield self._unpack.decompress(data, IMPORT_READ_BYTES)
                data = self._unpack.unconsumed_tail or self._unpack.unused_data
                self._is_whole = self._unpack.eof
        except zlib.error as error:
            raise NotPacked(f"An object is not compressed with GZIP: {error}") from None

    def finish(self) -> None:
        if not self._is_whole:
            raise NotPacked("An object is not compressed with GZIP: it ends too early")


class Unzstd:
    """Unpacks Zstandard of one or several frames."""

    def __init__(self) -> None:
        # Imported by the first import that needs it.
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd

        self._zstd = zstd
        self._unpack = zstd.ZstdDecompressor()
        self._is_whole = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            while data or not self._unpack.needs_input:
                if self._unpack.eof:
                    if not data:
                        return
                    self._unpack = self._zstd.ZstdDecompressor()
                yield self._unpack.decompress(data, IMPORT_READ_BYTES)
                data = self._unpack.unused_data if self._unpack.eof else b""
                self._is_whole = self._unpack.eof
        except self._zstd.ZstdError as error:
            raise NotPacked(f"An object is not compressed with ZSTD: {error}") from None

    def finish(self) -> None:
        if not self._is_whole:
            raise NotPacked("An object is not compressed with ZSTD: it ends too early")


UNPACKERS: dict[str, Callable[[], Unpacker]] = {"NONE": Plain, "GZIP": Unzip, "ZSTD": Unzstd}
"""By InputCompressionType."""
