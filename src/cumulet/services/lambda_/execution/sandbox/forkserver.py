"""The fork server: a small warm process, one for each interpreter, whose forks become environments.

A standalone program of one thread (`python -I -S forkserver.py DESCRIPTOR`), in an interpreter that does not see the
package and may be older (3.9). Its parent talks to it over that descriptor, a socket of packets, each one JSON:

    it is told  {"runtime": folder, "isolate": bool, ...}
    it says     {"ready": true, "isolated": bool, "version": "3.11.7"}, or {"no_walls": why} or {"failed": why}
    it is told  {"start": key, ...} with the output pipe as a passed descriptor
    it says     {"started": key, "pid": pid of the guard} or {"failed": why, "start": key}
    a runtime   {"refused": key, "words": why}      the program that it should have become cannot be started
    a guard     {"exited": key, "status": wait status of the runtime, "peak_kb": its largest resident size}
    it says     {"gone": key}                       nothing of that environment is left

Of a snapshot (see snapshot.py) the guard is the fork server: what it says is said by that guard.

    it is told  {"start": key, "snapshot": true, ...}   a runtime that, once initialised, can be copied
    it says     {"snapshot": key, "obstacle": why not}  an empty one is none
    it is told  {"start": key, "restore": key of the snapshot, ...}
    it says     {"started": key, "pid": as its guard knows it, "inside": key of the snapshot}
    it is told  {"end": key}                            no more copies are wanted; those that are there run on

An environment with external extensions gets two more descriptors, their output pipe and one whose end-of-file lets the
runtime begin, and its guard ends only with the last of them:

    an extension {"refused": key, "extension": name, "words": why}
    a guard      {"ended": key, "extension": name, "status": its wait status}

Between it and a runtime stands a guard: process 1 of the environment's namespace, which reaps orphans, tells how the
runtime ended, and takes everything with it when it ends. One guard and its runtime are always forked ahead, and wait.
Where there are no namespaces the guard adopts orphans and hunts them down. It ends when the fork server ends (the
kernel sees to that), and the fork server ends when its parent closes the socket, as it does when it is killed: so
nothing outlives the server.
"""

# What is imported here is imported in every environment, and Python 3.9 must be able to read it.
# ruff: noqa: BLE001, PTH100, PTH113, PTH118, PTH119, PTH120, PTH123, PTH208, SIM105, UP031

from __future__ import annotations

import errno
import gc
import importlib.util
import json
import os
import select
import signal
import socket
import sys
from typing import Any, NoReturn

PACKET_BYTES_MAX = 256 * 1024
DESCRIPTORS_MAX = 3
LEAVE_S = 3
STEP_BACK = 5
"""How much nicer than the server what runs in environments is: all of them wait for it, and it for none of them. Of a
processor that both want the server gets three quarters, where Linux divides it among processes."""
SPARE_AFTER_MS = 20
"""When nothing has been asked for so long, one environment is forked ahead of its request."""

NOT_FOR_EXTENSIONS = frozenset(
    (
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_XRAY_CONTEXT_MISSING",
        "AWS_XRAY_DAEMON_ADDRESS",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "_AWS_XRAY_DAEMON_ADDRESS",
        "_AWS_XRAY_DAEMON_PORT",
        "_HANDLER",
    )
)
"""https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html#runtimes-extensions-registration-api-e"""


def load(name: str, path: str) -> Any:
    """Return the module in the file `path`."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def import_early() -> None:
    """Import what most functions and the bootstrap use, and what an interpreter without `site` lacks."""
    import logging  # noqa: F401
    import random  # noqa: F401  (reseeds itself after a fork)
    import site
    import traceback  # noqa: F401
    import uuid  # noqa: F401

    site.setquit()
    site.setcopyright()
    site.sethelper()


class ForkServer:
    """The loop: requests in, forks out, ends reported."""

    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        here = os.path.dirname(os.path.abspath(__file__))
        self._control = control
        self._settings = settings
        self._walls = load("cumulet_isolation", os.path.join(here, "isolation.py"))
        self._runtime = load("cumulet_bootstrap", os.path.join(settings["runtime"], "bootstrap.py"))
        self._sdk = load("cumulet_sdk", os.path.join(settings["runtime"], "sdk.py"))
        self._snapshots = load("cumulet_snapshot", os.path.join(here, "snapshot.py"))
        self._guards: dict[int, str] = {}
        self._lines: dict[str, socket.socket] = {}
        """To the guards of snapshots."""
        self._spare: tuple[int, socket.socket] | None = None
        self._isolation: Any = None

    def say(self, **packet: Any) -> None:
        """Send one packet to the parent. It may be gone; whoever says this still has its environment to clear away."""
        try:
            self._control.send(json.dumps(packet).encode())
        except OSError:
            pass  # the fork server reads the end of the socket, and then ends its guards

    def run(self) -> None:
        """Serve until the parent is gone."""
        if self._settings["isolate"]:
            try:
                self._isolation = self._walls.Isolation(
                    self._settings["scratch"],
                    self._settings["code_cache"],
                    self._settings["visible"],
                    self._settings["links"],
                )
            except OSError as refused:
                self.say(no_walls=str(refused))
                return
        import_early()
        sys.path.append(self._settings["python_path"])
        self._sdk.warm_up()
        self._runtime.note_loaded()
        gc.collect()
        gc.freeze()  # forks do not copy pages for the sake of the collector's marks
        wake_read, wake_write = os.pipe()
        for end in (wake_read, wake_write):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        self.say(ready=True, isolated=self._isolation is not None, version="%d.%d.%d" % sys.version_info[:3])
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(wake_read, select.POLLIN)
        while True:
            ready = poll.poll(None if self._spare else SPARE_AFTER_MS)
            if not ready:
                self._make_spare()
            for descriptor, _ in ready:
                if descriptor == wake_read:
                    os.read(wake_read, 4096)
                    self._reap()
                else:
                    self._serve()

    def _reap(self) -> None:
        while self._guards:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if key := self._guards.pop(pid, ""):
                self._end_snapshot(key)
                self.say(gone=key)
            elif self._spare and self._spare[0] == pid:
                self._spare = None

    def _serve(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, PACKET_BYTES_MAX, DESCRIPTORS_MAX)
        except ConnectionResetError:
            self._leave()  # the parent has gone, and had not read all that we said
        if not data:
            self._leave()
        request = json.loads(data)
        if "end" in request:
            self._end_snapshot(request["end"])
            return
        key = request["start"]
        if "restore" in request:
            self._forward(key, request["restore"], data, descriptors)
            return
        try:
            pid, line = self._spare or self._make_guard()
            self._spare = None
            self._guards[pid] = key
            socket.send_fds(line, [data], descriptors)
            if request["snapshot"] and self._isolation:
                self._lines[key] = line
            else:
                line.close()
        except OSError as refused:
            self.say(failed=str(refused), start=key)
        else:
            self.say(started=key, pid=pid)
        for descriptor in descriptors:
            os.close(descriptor)

    def _forward(self, key: str, snapshot: str, data: bytes, descriptors: list[int]) -> None:
        try:
            if snapshot not in self._lines:
                raise OSError("the snapshot has ended")
            socket.send_fds(self._lines[snapshot], [data], descriptors)
        except OSError as refused:
            self.say(failed=str(refused), start=key)
        for descriptor in descriptors:
            os.close(descriptor)

    def _end_snapshot(self, key: str) -> None:
        if (line := self._lines.pop(key, None)) is not None:
            line.close()

    def _leave(self) -> NoReturn:
        """End every environment, then this process."""
        signal.alarm(LEAVE_S)  # whatever hangs then, the kernel ends the guards with us
        if self._spare:
            self._spare[1].close()
        for pid in self._guards:
            os.kill(pid, signal.SIGKILL if self._isolation else signal.SIGTERM)
        while _reap_children(wait=True):
            pass
        os._exit(0)

    def _make_spare(self) -> None:
        try:
            self._spare = self._make_guard()
        except OSError:
            self._spare = None  # the next request tries again, and tells

    def _make_guard(self) -> tuple[int, socket.socket]:
        """Return a new guard, whose runtime waits too, and the line on which it takes its request."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = self._isolation.fork() if self._isolation else os.fork()
        if pid == 0:
            ours.close()
            self._guard(theirs)
        theirs.close()
        self._guards[pid] = ""
        return pid, ours

    def _guard(self, line: socket.socket) -> NoReturn:
        """Be the guard of one environment: first wait for what it is to be."""
        for other in self._lines.values():
            other.close()  # their end is to be seen when the fork server closes its own
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            # No session of its own: Linux divides a processor among sessions, and the server would be one of many.
            os.setpgid(0, 0)
            if self._isolation:
                self._walls.set_parent_death_signal(signal.SIGKILL)
                self._isolation.enter()
            else:
                # Blocked, not handled: the guard picks its own end up between two waits, never inside one.
                # With the fork server gone, its session's groups that were stopped are hung up on.
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP})
                self._walls.set_parent_death_signal(signal.SIGTERM)
                self._walls.adopt_orphans()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            runtime = os.fork()
            if runtime == 0:
                ours.close()
                line.close()
                self._become_runtime(theirs)
            theirs.close()
            data, descriptors, _, _ = socket.recv_fds(line, PACKET_BYTES_MAX, DESCRIPTORS_MAX)
            if not data:
                # The fork server ends; the runtime hears the same from us, and is gone before we are.
                ours.close()
                os.waitpid(runtime, 0)
                os._exit(0)
            request = json.loads(data)
            if self._isolation:
                address = request["address"] if request["extensions"] else ""
                if request["image"]:
                    self._isolation.furnish_image(request["image"], request["tmp_mb"], request["slot"], address)
                else:
                    self._isolation.furnish(request["mounts"], request["tmp_mb"], request["slot"], address)
            parts = {runtime: ""}
            if request["extensions"]:
                for path in request["extensions"]:
                    parts[self._fork_extension(request, path, descriptors[1])] = os.path.basename(path)
                os.close(descriptors.pop(1))
            guard = None
            if request["snapshot"] and self._isolation:
                guard = self._snapshots.SnapshotGuard(
                    self._isolation, request["start"], request["slot"], self.say, self._watch_isolated
                )
                if refused := guard.try_out():
                    self.say(snapshot=request["start"], obstacle=refused)
                    guard, data = None, json.dumps({**request, "snapshot": False}).encode()
            socket.send_fds(ours, [data], descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            if guard is not None:
                guard.run(line, runtime, ours)
            line.close()
            ours.close()
            if self._isolation:
                self._watch_isolated(request["start"], parts)
            else:
                self._watch_plain(request["start"], parts)
        except BaseException as failure:  # the edge of a forked process: nothing may run on above it
            os.write(2, f"cumulet: an environment could not be set up: {failure!r}\n".encode())
        os._exit(1)

    def _watch_isolated(self, key: str, parts: dict[int, str]) -> None:
        while parts:
            pid, status, usage = os.wait4(-1, 0)
            if pid in parts:
                self._tell_end(key, parts.pop(pid), status, usage.ru_maxrss)
        os._exit(0)  # process 1 ends, and the kernel ends all others of its namespace

    def _watch_plain(self, key: str, parts: dict[int, str]) -> None:
        awaited = {signal.SIGTERM, signal.SIGCHLD}
        while parts and signal.sigwait(awaited) != signal.SIGTERM:
            for pid, (status, peak_kb) in _reap_children().items():
                if pid in parts:
                    self._tell_end(key, parts.pop(pid), status, peak_kb)
        while children := _children_of(os.getpid()):
            for pid in children:
                _kill(pid)
            _reap_children(wait=True)
        os._exit(0)

    def _tell_end(self, key: str, extension: str, status: int, peak_kb: int) -> None:
        if extension:
            self.say(ended=key, extension=extension, status=status)
        else:
            self.say(exited=key, status=status, peak_kb=peak_kb)

    def _fork_extension(self, request: dict[str, Any], path: str, output: int) -> int:
        pid = os.fork()
        if pid == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.setpgid(0, 0)
            self._take_place(request, output)
            os.chdir("/")
            environ = {name: value for name, value in request["environ"].items() if name not in NOT_FOR_EXTENSIONS}
            words = self._execute([path], environ)
            self.say(refused=request["start"], extension=os.path.basename(path), words=words)
            os._exit(1)
        return pid

    def _become_runtime(self, line: socket.socket) -> NoReturn:
        """Be the runtime of one environment: first wait for what it is to be."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        data, descriptors, _, _ = socket.recv_fds(line, PACKET_BYTES_MAX, DESCRIPTORS_MAX)
        if not data:
            os._exit(0)
        request = json.loads(data)
        if request["extensions"]:
            os.read(descriptors[1], 1)  # until all of them have registered
        is_snapshot = request["snapshot"] and self._isolation
        kept = line.detach()
        self._take_place(request, descriptors[0], *((kept,) if is_snapshot else ()))
        root = request["environ"]["LAMBDA_TASK_ROOT"]
        try:
            os.chdir(request["folder"])
        except (OSError, ValueError) as refused:
            words = "chdir %s: %s" % (request["folder"], _strerror(refused))
            self.say(refused=request["start"], words=words)
            os._exit(1)
        if request["programs"]:
            self._become_program(request)
        self._control.close()
        os.environ.clear()
        os.environ.update(request["environ"])
        snapshot = None
        if is_snapshot:
            snapshot = self._snapshots.Snapshot(socket.socket(fileno=kept), self._walls)
        self._runtime.main(root, request["opt"], request["bytecode"], snapshot)
        os._exit(0)

    def _take_place(self, request: dict[str, Any], output: int, *kept: int) -> None:
        """Keep nothing but the output pipe and `kept`, and take on the limits and the user of the environment."""
        os.nice(STEP_BACK)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        # The control socket is closed by the kernel when this becomes another program.
        left = sorted((self._control.fileno(), *kept))
        for below, above in zip((2, *left), (*left, 256)):  # noqa: B905  of Python 3.10
            os.closerange(below + 1, above)
        if self._isolation:
            self._walls.limit(request["files"], request["processes"])
            self._isolation.drop(request["slot"])
        else:
            # The kernel counts a user's processes, and this user is the server's.
            self._walls.limit(request["files"], 0)

    def _become_program(self, request: dict[str, Any]) -> NoReturn:
        """Become the program, or if there are several the first that is a file."""
        found = request["programs"]
        if len(found) > 1:
            found = [command for command in found if os.path.isfile(command[0])]
        if found:
            words = self._execute(found[0], request["environ"])
        else:
            # https://github.com/aws/aws-lambda-runtime-interface-emulator has these words, and so has AWS.
            words = "Couldn't find valid bootstrap(s): [%s]" % " ".join(command[0] for command in request["programs"])
        self.say(refused=request["start"], words=words)
        os._exit(1)

    def _execute(self, command: list[str], environ: dict[str, str]) -> str:
        """Become a program, looked for in its PATH if it is a bare name; or return why not, as Go words it."""
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # Python ignores them, and a new program would inherit that
        try:
            os.execvpe(command[0], command, environ)
        except (OSError, ValueError) as refused:
            if "/" not in command[0] and isinstance(refused, FileNotFoundError):
                return 'exec: "%s": executable file not found in $PATH' % command[0]
            return "fork/exec %s: %s" % (command[0], _strerror(refused))


def _strerror(refused: OSError | ValueError) -> str:
    """Return the system's words for a refusal; Python refuses by itself what no call takes, such as a NUL."""
    number = refused.errno if isinstance(refused, OSError) else errno.EINVAL
    return os.strerror(number or 0).lower()


def _children_of(pid: int) -> list[int]:
    children = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                children.append(int(name))
    return children


def _kill(pid: int) -> None:
    """Kill `pid` and everything below it, stopping each first so that it cannot fork away."""
    try:
        os.kill(pid, signal.SIGSTOP)
        for child in _children_of(pid):
            _kill(child)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _reap_children(wait: bool = False) -> dict[int, tuple[int, int]]:
    """Return the wait status and the largest resident size (KB) of the children that have ended."""
    ended: dict[int, tuple[int, int]] = {}
    try:
        while True:
            pid, status, usage = os.wait4(-1, 0 if wait and not ended else os.WNOHANG)
            if pid == 0:
                return ended
            ended[pid] = status, usage.ru_maxrss
    except ChildProcessError:
        return ended


def main() -> None:
    """Run the fork server that the first packet describes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    server = ForkServer(control, json.loads(control.recv(PACKET_BYTES_MAX)))
    try:
        server.run()
    except OSError as refused:
        server.say(failed=str(refused))


if __name__ == "__main__":
    main()
