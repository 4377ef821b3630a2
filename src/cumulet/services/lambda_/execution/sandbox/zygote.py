"""The server's side of a fork server: it starts one per interpreter and asks it for sandboxes."""

import asyncio
import json
import logging
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.lambda_.execution.sandbox.interpreters import Interpreter, find_sdk
from cumulet.services.lambda_.execution.sandbox.isolation import FIRST_UID
from cumulet.services.lambda_.execution.sandbox.process import Sandbox, find_inside
from cumulet.services.lambda_.execution.sandbox.programs import Libraries, link_interpreters, see_programs

_log = logging.getLogger(__name__)

FORK_SERVER = Path(__file__).with_name("forkserver.py")
PYTHON_RUNTIME = Path(__file__).parents[2] / "runtimes" / "python"
SNAPSHOT_HOOKS = PYTHON_RUNTIME / "snapshot_restore_py.py"
PYTHON_BOOTSTRAP = PYTHON_RUNTIME / "bootstrap.py"
RUNTIME_FOLDER = "/var/runtime"
PACKET_BYTES_MAX = 256 * 1024
READY_TIMEOUT_S = 30.0
NO_LIBRARIES = Libraries()
END_POLL_S, END_POLLS_MAX = 0.005, 1000

_isolation_refused = ""
"""Why this machine has refused namespaces; asked once in the life of the server."""


class NoWalls(OSError):
    """The kernel does not permit namespaces: another try would end the same."""


class Zygote:
    """One fork server process. Start it, then `spawn`; `close` ends it with every sandbox that it made."""

    def __init__(
        self, interpreter: Interpreter, folder: Path, code_cache: Path, libraries: Libraries = NO_LIBRARIES
    ) -> None:
        self._interpreter = interpreter
        self._libraries = libraries
        self._folder = folder
        self._code_cache = code_cache
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._starting: dict[str, asyncio.Future[int]] = {}
        self._sandboxes: dict[str, Sandbox] = {}
        self._on_lost: Callable[[], None] = lambda: None
        self.isolated = False
        self.no_walls = ""
        """Why not, if it is not."""
        self.version = ""
        self.python_path = ""
        """Where environments find boto3 and our bootstrap."""

    async def start(self, on_lost: Callable[[], None]) -> None:
        """Return when the fork server is warm. `on_lost` is called if it ends before `close`."""
        global _isolation_refused
        self._on_lost = on_lost
        if not _isolation_refused:
            try:
                if os.geteuid() != 0:
                    raise NoWalls("only root may make them")
                await self._launch(isolate=True)
                return
            except NoWalls as refused:
                # Only the kernel's own word counts: an interpreter that fails or is slow must not cost all others
                # their walls.
                _isolation_refused = str(refused)
                _log.warning(
                    "Functions run without walls around them, since this machine refuses namespaces (%s): "
                    "they can read what the server can read, and share /tmp",
                    refused,
                )
                self._end()
                self._ready = self._loop.create_future()
        self.no_walls = _isolation_refused
        await self._launch(isolate=False)

    async def _launch(self, *, isolate: bool) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._socket = ours
        self._process = subprocess.Popen(
            [self._interpreter.executable, "-I", "-S", str(FORK_SERVER), str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        theirs.close()
        self._loop.add_reader(ours.fileno(), self._receive)
        scratch = self._folder / "root"
        scratch.mkdir(parents=True, exist_ok=True)
        sdk = {
            **find_sdk(),
            SNAPSHOT_HOOKS.name: str(SNAPSHOT_HOOKS),
            PYTHON_BOOTSTRAP.name: str(PYTHON_BOOTSTRAP),
        }
        self.python_path = RUNTIME_FOLDER if isolate else str(self._link(sdk))
        try:
            ours.send(
                json.dumps(
                    {
                        "runtime": str(PYTHON_RUNTIME),
                        "python_path": self.python_path,
                        "isolate": isolate,
                        "scratch": str(scratch),
                        "code_cache": str(self._code_cache),
                        "visible": {self._interpreter.prefix: self._interpreter.prefix}
                        | {f"{RUNTIME_FOLDER}/{name}": path for name, path in sdk.items()}
                        | see_programs(self._libraries),
                        "links": link_interpreters(self._interpreter),
                    }
                ).encode()
            )
            async with asyncio.timeout(READY_TIMEOUT_S):
                told = await asyncio.shield(self._ready)
        except OSError:
            self._end()
            raise
        self.isolated, self.version = told["isolated"], told["version"]

    def user_of(self, slot: int) -> int | None:
        """Return the user as whom the environment in a slot runs, if it has one of its own."""
        return FIRST_UID + slot if self.isolated else None

    def _link(self, sdk: dict[str, str]) -> Path:
        """Return a folder through which the SDK's packages are found, and none of their neighbours."""
        folder = self._folder / "sdk"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, path in sdk.items():
            (folder / name).symlink_to(path)
        return folder

    async def spawn(
        self, key: str, request: dict[str, Any], descriptors: Sequence[int], on_end: Callable[[], None]
    ) -> Sandbox:
        """Return a new sandbox whose runtime writes to the first of these. Raises ServiceError if it cannot be made.

        With extensions there are two more, see the fork server. `on_end` is called when nothing is left of the sandbox,
        never before this has returned.
        """
        packet = json.dumps({"start": key, **request}).encode()
        if len(packet) > PACKET_BYTES_MAX:
            raise ServiceError("InvalidParameterValueException", "The environment is too large to be passed on.")
        started: asyncio.Future[int] = self._loop.create_future()
        self._starting[key] = started
        self._sandboxes[key] = sandbox = Sandbox(isolated=self.isolated, snapshot=request.get("restore", ""))
        try:
            while True:
                if self._socket is None:
                    raise OSError("the fork server ended")
                try:
                    socket.send_fds(self._socket, [packet], descriptors)
                    break
                except BlockingIOError:
                    await asyncio.sleep(0.001)
            sandbox.pid = await started
            sandbox.on_end = on_end
            if sandbox.has_ended:
                self._loop.call_soon(on_end)
        except OSError as lost:
            self._starting.pop(key, None)
            self._sandboxes.pop(key, None)
            raise ServiceError(
                "ServiceException", f"The environment could not be started: {lost}", status=500
            ) from None
        return sandbox

    def end_snapshot(self, key: str) -> None:
        """Have a snapshot end; what was restored from it runs on, and its sandbox lasts as long."""
        if self._socket is not None:
            try:
                self._socket.send(json.dumps({"end": key}).encode())
            except BlockingIOError:
                self._loop.call_later(0.001, self.end_snapshot, key)

    def _receive(self) -> None:
        assert self._socket is not None
        while True:
            try:
                data = self._socket.recv(PACKET_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._lost()
                return
            self._told(json.loads(data))

    def _told(self, packet: dict[str, Any]) -> None:
        if (key := packet.get("exited")) is not None:
            self._sandboxes[key].runtime_ended(packet["status"], packet["peak_kb"])
        elif (key := packet.get("ended")) is not None:
            self._sandboxes[key].part_ended(packet["extension"], packet["status"])
        elif (key := packet.get("refused")) is not None:
            self._sandboxes[key].refused[packet.get("extension", "")] = packet["words"]
        elif (key := packet.get("gone")) is not None:
            if (sandbox := self._sandboxes.pop(key, None)) is not None:  # one that failed to start has been told
                sandbox.end()
                self._end_copies(key)
        elif (key := packet.get("started")) is not None:
            pid = packet["pid"]
            if "inside" in packet:
                pid = find_inside(self._sandboxes[packet["inside"]].pid, pid)
            if not (waiting := self._starting.pop(key)).done():
                waiting.set_result(pid)
        elif (key := packet.get("snapshot")) is not None:
            self._sandboxes[key].snapshot_told(packet["obstacle"])
        elif "ready" in packet:
            self._ready.set_result(packet)
        elif (key := packet.get("start")) is not None:
            self._sandboxes.pop(key, None)
            if key in self._starting:  # else it was a copy, and has ended with its snapshot
                self._starting.pop(key).set_exception(OSError(packet["failed"]))
        elif not self._ready.done():
            refused = packet.get("no_walls")
            self._ready.set_exception(OSError(packet["failed"]) if refused is None else NoWalls(refused))

    def _end_copies(self, snapshot: str) -> None:
        """The guard of a snapshot has ended, and with it all that was restored from it."""
        for key in [key for key, sandbox in self._sandboxes.items() if sandbox.snapshot == snapshot]:
            if (waiting := self._starting.pop(key, None)) is not None:
                waiting.set_exception(OSError("the snapshot has ended"))
            self._sandboxes.pop(key).end()

    def _lost(self) -> None:
        self._end()
        if not self._ready.done():
            self._ready.set_exception(OSError("the fork server ended"))
        for waiting in self._starting.values():
            if not waiting.done():
                waiting.set_exception(OSError("the fork server ended"))
        self._starting.clear()
        # The kernel has ended every guard with its parent.
        for sandbox in self._sandboxes.values():
            sandbox.end()
        self._sandboxes.clear()
        self._on_lost()

    def _end(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def close(self) -> None:
        """End the fork server and what it made; nothing of it is left when this returns."""
        self._on_lost = lambda: None
        self._sandboxes.clear()
        process = self._process
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        if process is not None:
            for _ in range(END_POLLS_MAX):
                if process.poll() is not None:
                    break
                await asyncio.sleep(END_POLL_S)
            else:
                _log.error("a fork server does not end by itself: pid=%s", process.pid)
        self._end()
