"""A snapshot: one initialised process that waits, and whose forks become environments. Linux only, and only with walls.

A process that runs a function's code has no rights, and may have none; so its fork cannot build walls around itself.
But whoever owns a user namespace may enter it, and all that belongs to it. So the guard of the snapshot makes, for each
copy, a user namespace that the snapshot's user owns, and in it all that an environment has for itself:

    guard of the snapshot       process 1 of the snapshot's process namespace; all copies are below it
      the snapshot              waits for orders: {"start": key, "slot": .., "environ": ..}, and these descriptors:
                                output, user namespace, mounts, process namespace, a line to the copy's guard
      guard of a copy           process 1 of the copy's namespace, with mounts and a /tmp of its own
        the copy                fork of the snapshot: enters, becomes a user of its own, gives up all rights

The kernel gives an orphan to process 1 of its parent's namespace: the first fork is in the snapshot's, the second one's
child is the copy. What ends the guard of the snapshot ends all; what ends the guard of a copy ends that alone.

Only what a fork can share with its siblings without harm is copied; `find_obstacle` tells what cannot be.
A standalone module like its neighbours; its second half runs in the function's own process, after its code.
"""

# What is imported here is imported in every environment, and Python 3.9 must be able to read it.
# ruff: noqa: BLE001, PTH101, PTH102, PTH109, PTH110, PTH115, PTH118, PTH123, PTH208, PTH211

from __future__ import annotations

import ctypes
import fcntl
import gc
import json
import os
import select
import signal
import socket
import stat
import time
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

PACKET_BYTES_MAX = 256 * 1024
OBSTACLE_BYTES_MAX = 4096
DESCRIPTORS_MAX = 5
ADOPTION_POLL_S = 0.0001
NO_OBSTACLE = b"-"
SHAREABLE_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
OPENING_FLAGS = os.O_CREAT | os.O_EXCL | os.O_TRUNC
ACCESS = {os.O_RDONLY: os.R_OK, os.O_WRONLY: os.W_OK, os.O_RDWR: os.R_OK | os.W_OK}


class SnapshotGuard:
    """The guard of a snapshot: has it copied as long as its own line is open, and ends after the last copy."""

    def __init__(
        self,
        isolation: Any,
        key: str,
        slot: int,
        say: Callable[..., None],
        watch: Callable[[str, dict[int, str]], None],
    ) -> None:
        self._isolation = isolation
        self._key = key
        self._slot = slot
        self._say = say
        self._watch = watch
        self._copies: dict[int, str] = {}

    def try_out(self) -> str:
        """Build the walls of one copy that runs nothing, and return the kernel's refusal, if it has one."""
        try:
            pid = self._isolation.fork_for(self._slot, self._slot)
        except OSError as refused:
            return f"this machine refuses user namespaces ({refused})"
        if pid == 0:
            try:
                self._isolation.furnish_copy(1, self._slot)
                os._exit(0)
            finally:
                os._exit(1)
        return "this machine refuses mounts in user namespaces" if os.waitpid(pid, 0)[1] else ""

    def run(self, line: socket.socket, snapshot: int, to_snapshot: socket.socket) -> NoReturn:
        """Take orders on `line`; `snapshot` is the process, which says on its own line whether it can be copied."""
        wake_read, wake_write = os.pipe()
        for end in (wake_read, wake_write):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        poll = select.poll()
        for descriptor in (wake_read, line.fileno(), to_snapshot.fileno()):
            poll.register(descriptor, select.POLLIN)
        is_wanted, lives = True, True
        while is_wanted or lives or self._copies:
            for descriptor, _ in poll.poll():
                if descriptor == wake_read:
                    os.read(wake_read, 4096)
                elif descriptor == to_snapshot.fileno():
                    poll.unregister(descriptor)  # one word: what it says besides is its code's
                    try:
                        said = to_snapshot.recv(OBSTACLE_BYTES_MAX)
                    except ConnectionResetError:
                        said = b""  # it has ended, with a packet that it has not read
                    if not said:
                        continue
                    obstacle = "" if said == NO_OBSTACLE else said.decode("utf-8", "replace")
                    self._say(snapshot=self._key, obstacle=obstacle)
                    if obstacle:  # it goes on by itself
                        poll.unregister(line)
                        is_wanted = False
                elif not self._serve(line, to_snapshot, lives):
                    poll.unregister(descriptor)
                    is_wanted = False
                    if lives:
                        os.kill(snapshot, signal.SIGKILL)
            lives = self._reap(snapshot) and lives
        os._exit(0)

    def _serve(self, line: socket.socket, to_snapshot: socket.socket, lives: bool) -> bool:
        """Make the guard of one copy; tell whether more may be wanted."""
        data, descriptors, _, _ = socket.recv_fds(line, PACKET_BYTES_MAX, 1)
        if not data:
            return False
        order = json.loads(data)
        try:
            if not lives:
                raise OSError("the snapshot has ended")
            pid = self._isolation.fork_for(self._slot, order["slot"])
        except OSError as refused:
            self._say(failed=str(refused), start=order["start"])
        else:
            if pid == 0:
                line.close()
                self._guard_copy(order, data, descriptors[0], to_snapshot)
            self._copies[pid] = order["start"]
            self._say(started=order["start"], pid=pid, inside=self._key)
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def _reap(self, snapshot: int) -> bool:
        """Tell who has ended, and return whether the snapshot has not."""
        lives = True
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return lives
            if pid == snapshot:
                lives = False
                self._say(exited=self._key, status=status, peak_kb=usage.ru_maxrss)
            elif key := self._copies.pop(pid, ""):
                self._say(gone=key)

    def _guard_copy(self, order: dict[str, Any], data: bytes, output: int, to_snapshot: socket.socket) -> NoReturn:
        """Be the guard of a copy: complete its walls, and have it enter them."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._isolation.furnish_copy(order["tmp_mb"], order["slot"])
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            entrances = [
                os.open("/proc/self/ns/" + kind, os.O_RDONLY | os.O_CLOEXEC) for kind in ("user", "mnt", "pid")
            ]
            socket.send_fds(to_snapshot, [data], [output, *entrances, theirs.fileno()])
            for descriptor in (output, *entrances):
                os.close(descriptor)
            theirs.close()
            to_snapshot.close()
            if inside := ours.recv(64):
                self._watch(order["start"], {int(inside): ""})
        except BaseException as failure:  # the edge of a forked process: nothing may run on above it
            os.write(2, f"cumulet: a copy could not be set up: {failure!r}\n".encode())
        os._exit(1)


class Snapshot:
    """The initialised process itself, as its bootstrap sees it."""

    def __init__(self, line: socket.socket, walls: Any) -> None:
        self._line = line
        self._walls = walls
        self._files: list[tuple[int, str, int, int]] = []
        self._sockets: list[tuple[int, int, int]] = []

    def is_taken(self, own: int) -> bool:
        """Return True in each copy, once it has an environment; False if this process cannot be copied.

        `own` is a descriptor that copies close.
        """
        obstacle = self._find_obstacle({0, 1, 2, own, self._line.fileno()})
        self._line.send(obstacle.encode() or NO_OBSTACLE)
        if obstacle:
            self._line.close()
            return False
        gc.freeze()  # copies do not copy pages for the sake of the collector's marks
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._line, PACKET_BYTES_MAX, DESCRIPTORS_MAX)
            if not data:
                os._exit(0)
            # Without Python's hooks, which are to run once for each copy, and not here.
            fork = _fork_plainly()
            if fork == 0:
                try:
                    self._become_copy(json.loads(data), *descriptors)
                    return True
                except BaseException as failure:  # the edge of a forked process: nothing may run on above it
                    os.write(descriptors[0], f"cumulet: a snapshot could not be restored: {failure!r}\n".encode())
                    os._exit(1)
            for descriptor in descriptors:
                os.close(descriptor)
            os.waitpid(fork, 0)

    def _become_copy(
        self, order: dict[str, Any], output: int, users: int, mounts: int, processes: int, line: int
    ) -> None:
        """Be one more environment: enter its walls, and have nothing that a sibling has too."""
        walls = self._walls
        tmp = os.open("/tmp", os.O_RDONLY | os.O_DIRECTORY)
        folder, user = os.getcwd(), walls.FIRST_UID + order["slot"]
        for entrance, kind in (
            (users, walls.CLONE_NEWUSER),
            (processes, walls.CLONE_NEWPID),
            (mounts, walls.CLONE_NEWNS),
        ):
            walls.enter_namespace(entrance, kind)
            os.close(entrance)
        if _fork_plainly():
            os._exit(0)
        if os.fork():
            os._exit(0)
        while os.getppid() != 1:
            time.sleep(ADOPTION_POLL_S)
        os.setpgid(0, 0)
        with socket.socket(fileno=line) as to_guard:
            to_guard.send(str(os.getpid()).encode())
        _copy_files(f"/proc/self/fd/{tmp}", "/tmp", user)
        os.close(tmp)
        walls.drop_copy(order["slot"])
        for target in (1, 2):
            os.dup2(output, target)
        os.close(output)
        self._line.close()
        os.chdir(folder)
        self._renew_descriptors()
        os.environ.update(order["environ"])

    def _renew_descriptors(self) -> None:
        """Open files anew, since forks would share how far they were read; have connections be broken, as on AWS."""
        for descriptor, path, flags, offset in self._files:
            opened = os.open(path, flags)
            os.lseek(opened, offset, os.SEEK_SET)
            os.dup2(opened, descriptor, inheritable=os.get_inheritable(descriptor))
            os.close(opened)
        for descriptor, family, kind in self._sockets:
            with socket.socket(family, kind) as broken:
                os.dup2(broken.fileno(), descriptor, inheritable=False)

    def _find_obstacle(self, known: set[int]) -> str:
        """Return why forks of this process would not be like copies of a machine, or nothing; note what is open."""
        others = [name for name in os.listdir("/proc") if name.isdigit() and name not in ("1", str(os.getpid()))]
        if others:
            return "the initialisation code has started processes"
        if not _ends_its_threads():
            return "the initialisation code has started threads"
        timers = signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF
        if any(signal.getitimer(timer)[0] for timer in timers):
            return "the initialisation code has set a timer"
        with open("/proc/self/maps") as maps:
            if any(line.split(None, 2)[1][1::2] == "ws" for line in maps):
                return "the initialisation code shares memory"
        for folder, _, names in os.walk("/tmp"):
            for name in names:
                found = os.lstat(os.path.join(folder, name))
                if stat.S_ISLNK(found.st_mode):
                    continue
                if not stat.S_ISREG(found.st_mode):
                    return "the initialisation code has made a pipe or a socket in /tmp"
                if found.st_nlink > 1 or found.st_blocks * 512 < found.st_size:  # their copies may not fit
                    return "the initialisation code has made a hard link or a file with holes in /tmp"
        return self._find_open_obstacle(known)

    def _find_open_obstacle(self, known: set[int]) -> str:
        for descriptor in {int(name) for name in os.listdir("/proc/self/fd")} - known:
            try:
                kind, path = os.fstat(descriptor).st_mode, os.readlink(f"/proc/self/fd/{descriptor}")
            except OSError:
                continue  # the one of the listing itself
            if stat.S_ISSOCK(kind):
                with socket.socket(fileno=os.dup(descriptor)) as opened:
                    if opened.family not in (socket.AF_INET, socket.AF_INET6):
                        return "the initialisation code has opened a socket of this machine"
                    if opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                        return "the initialisation code listens for connections"
                    self._sockets.append((descriptor, opened.family, opened.type))
            elif stat.S_ISREG(kind) or stat.S_ISDIR(kind):
                with open(f"/proc/self/fdinfo/{descriptor}") as info:
                    if "\nlock:" in info.read():
                        return "the initialisation code has locked a file"
                if not os.path.exists(path) or path.startswith("/proc/"):
                    return "the initialisation code has opened a file that has no name"
                flags = fcntl.fcntl(descriptor, fcntl.F_GETFL) & ~OPENING_FLAGS
                if not os.access(path, ACCESS[flags & os.O_ACCMODE]):
                    return "the initialisation code has opened a file that could not be opened again"
                self._files.append((descriptor, path, flags, os.lseek(descriptor, 0, os.SEEK_CUR)))
            elif path not in SHAREABLE_DEVICES:
                return f"the initialisation code has opened {path.partition(':')[0]}"
        return ""


def _ends_its_threads() -> bool:
    """Return whether this process has one thread, at least once it has been forked.

    Libraries that know how to be forked, as BLAS, end their threads when it happens, and begin them when needed.
    """
    if len(os.listdir("/proc/self/task")) == 1:
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trial = os.fork()
    if trial == 0:
        os._exit(0)
    os.waitpid(trial, 0)
    return len(os.listdir("/proc/self/task")) == 1


def _fork_plainly() -> int:
    """Fork, without what Python does about it; this process has one thread."""
    pid: int = ctypes.pythonapi.fork()
    if pid < 0:
        raise OSError("no process can be forked")
    return pid


def _copy_files(source: str, target: str, owner: int) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            path = os.path.join(target, entry.name)
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), path)
                os.chown(path, owner, owner, follow_symlinks=False)
                continue
            if entry.is_dir():
                os.mkdir(path)
                _copy_files(entry.path, path, owner)
            else:
                with open(entry.path, "rb") as read, open(path, "wb") as written:
                    while data := read.read(1024 * 1024):
                        written.write(data)
            found = entry.stat()
            os.chown(path, owner, owner)
            os.chmod(path, stat.S_IMODE(found.st_mode))
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
