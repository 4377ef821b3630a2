"""Having the disk confirm a file, by the kernel's own asynchronous I/O: no thread waits for it.

A thread that waits for the disk needs the interpreter's lock before and after, and a busy event loop keeps it for most
of a millisecond: longer than the disk takes. Linux can be asked to sync a file (`IOCB_CMD_FDSYNC`, since 4.18) and then
tells an eventfd, which the event loop watches. See io_submit(2); the standard library has no door to it but `ctypes`.
"""

import asyncio
import ctypes
import os
import platform
import sys
from collections.abc import Callable
from typing import Any

_NUMBERS = {"x86_64": (206, 207, 208, 209), "aarch64": (0, 1, 4, 2)}
"""Of io_setup, io_destroy, io_getevents and io_submit (asm/unistd.h)."""

_FDSYNC = 3
_TELL_EVENTFD = 1


class _Request(ctypes.Structure):
    """`struct iocb` of linux/aio_abi.h, as machines with the lowest byte first have it."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("key", ctypes.c_uint32),
        ("rw_flags", ctypes.c_uint32),
        ("opcode", ctypes.c_uint16),
        ("priority", ctypes.c_int16),
        ("descriptor", ctypes.c_uint32),
        ("buffer", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("offset", ctypes.c_int64),
        ("reserved", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("eventfd", ctypes.c_uint32),
    )


class _Event(ctypes.Structure):
    """`struct io_event`."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("request", ctypes.c_uint64),
        ("result", ctypes.c_int64),
        ("result2", ctypes.c_int64),
    )


class DiskSync:
    """One file's syncs, one at a time."""

    def __init__(self, descriptor: int) -> None:
        """Takes the descriptor over. Raises OSError where this kernel, or this file system, cannot do it."""
        self._descriptor = descriptor
        self._told = -1
        self._context = ctypes.c_ulong(0)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: Callable[[OSError | None], None] | None = None
        try:
            if not sys.platform.startswith("linux") or platform.machine() not in _NUMBERS or sys.maxsize < 2**32:
                raise OSError("asynchronous syncs are Linux's")  # and a program of 32 bits has other numbers
            self._setup, self._destroy, self._get_events, self._submit = _NUMBERS[platform.machine()]
            self._call: Any = ctypes.PyDLL(None, use_errno=True).syscall  # none waits, so the lock is kept
            self._told = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._request = _Request(opcode=_FDSYNC, descriptor=descriptor, flags=_TELL_EVENTFD, eventfd=self._told)
            self._requests = (ctypes.POINTER(_Request) * 1)(ctypes.pointer(self._request))
            self._event = _Event()
            self._ask(self._setup, 1, ctypes.byref(self._context))
            self._ask(self._submit, self._context, 1, self._requests)
            self._finish()  # a first time, to see that it can be done
            os.eventfd_read(self._told)
        except BaseException:
            self.close()
            raise

    def begin(self, done: Callable[[OSError | None], None]) -> None:
        """Have all synced that has been written to the file by now; `done` is called on the event loop."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._told, self._on_told)
        self._done = done
        try:
            self._ask(self._submit, self._context, 1, self._requests)
        except OSError:  # the kernel is short of something. That says nothing of the disk, which is waited for here
            self._loop.call_soon(self._tell, self._sync_at_once())

    def close(self) -> None:
        """Let go of the file. Not while a sync is under way."""
        if self._loop is not None:
            self._loop.remove_reader(self._told)
        if self._context.value:
            self._ask(self._destroy, self._context)
        for descriptor in (self._told, self._descriptor):
            if descriptor >= 0:
                os.close(descriptor)

    def _on_told(self) -> None:
        os.eventfd_read(self._told)
        try:
            self._finish()
        except OSError as failure:
            self._tell(failure)
        else:
            self._tell(None)

    def _tell(self, failure: OSError | None) -> None:
        done, self._done = self._done, None
        assert done is not None
        done(failure)

    def _sync_at_once(self) -> OSError | None:
        try:
            os.fdatasync(self._descriptor)
        except OSError as failure:
            return failure
        return None

    def _finish(self) -> None:
        """Take the result of the sync, for which it waits. Raises the OSError that it came to."""
        self._ask(self._get_events, self._context, 1, 1, ctypes.byref(self._event), None)
        if (result := self._event.result) < 0:
            raise OSError(-result, os.strerror(-result))

    def _ask(self, number: int, *arguments: Any) -> None:
        if self._call(number, *arguments) < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
