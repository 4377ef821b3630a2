"""Linux's own walls around an environment, by a few system calls through ctypes. Runs inside the fork server.

A standalone module: it is loaded by path into an interpreter that does not see the package, and may be older (3.9).

The fork server moves once into a small root of its own (system folders, the interpreter and boto3, all read-only), and
each environment then adds what is its own: /var/task, a private /tmp, /proc of its own process namespace. All this
needs root, and what a function runs as is a user of the environment's own without any privilege.
"""

# What is imported here is imported in every environment, and Python 3.9 must be able to read it.
# ruff: noqa: PTH101, PTH103, PTH106, PTH108, PTH110, PTH112, PTH114, PTH115, PTH120, PTH123, PTH211

from __future__ import annotations

import ctypes
import os
import resource
import signal

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MS_RELATIME = 0x1000, 0x4000, 0x40000, 0x200000
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECUREBITS, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 28, 36, 38
SECBIT_NO_SETUID_FIXUP = 4
CAPABILITY_VERSION_3, CAPABILITY_WORDS = 0x20080522, 6
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41}
SYS_CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220}

_libc = ctypes.CDLL(None, use_errno=True)

SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc")
DEVICES = ("null", "zero", "full", "random", "urandom")
CODE_CACHE = "/var/.code"
IMAGE = "/var/.image"
"""Where an image's files come together with what is an environment's own, before they are its root."""
BYTECODE = ("/var/.bytecode/var/task", "/var/.bytecode/opt")
"""Where an environment finds what is compiled of its code and its layers, if that is there."""
FIRST_UID = 60_001
UIDS = 1_200


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    _check(
        _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()),
        f"mount {target}",
    )


def _locked_flags(path: str) -> int:
    """Return the flags of the mount at `path`, which a remount keeps: a container's kernel insists on some."""
    flags = os.statvfs(path).f_flag
    kept = flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | 1024 | 2048)
    return kept | (MS_RELATIME if flags & 4096 else 0)


def _bind(source: str, target: str, *, recursive: bool = False) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "a"):
            pass
    _mount(source, target, "none", MS_BIND | (MS_REC if recursive else 0))


def _bind_readonly(source: str, target: str, *, recursive: bool = False) -> None:
    _bind(source, target, recursive=recursive)
    _mount("none", target, "none", MS_BIND | MS_REMOUNT | MS_RDONLY | _locked_flags(target))


def make_links(root: str, links: dict[str, str]) -> None:
    """Make links in folders below `root`, unless these are there: AWS's images have interpreters of their own."""
    folders = {os.path.dirname(root + place) for place in links}
    new = {folder for folder in folders if not os.path.exists(folder)}
    for folder in new:
        os.makedirs(folder)
    for place, target in links.items():
        if os.path.dirname(root + place) in new:
            os.symlink(target, root + place)


def name_users() -> str:
    """Return the lines of /etc/passwd by which each environment's user has the name that it has on AWS."""
    return "".join(
        f"sbx_user1051:x:{FIRST_UID + n}:{FIRST_UID + n}::/home/sbx_user1051:/sbin/nologin\n" for n in range(UIDS)
    )


def set_parent_death_signal(signal_number: int) -> None:
    """Have the kernel send `signal_number` to this process when its parent ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Isolation:
    """The fork server's side of the walls. Making one moves this process into its own root."""

    def __init__(self, scratch: str, code_cache: str, visible: dict[str, str], links: dict[str, str]) -> None:
        """Move this process into a root of its own, built in the empty folder `scratch`.

        `visible` maps paths in that root to what is seen there, `links` to where they lead within it. Raises OSError
        where the kernel does not permit it; then this process is of no use any more.
        """
        self._own_pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        _check(_libc.unshare(CLONE_NEWNS), "unshare a mount namespace")
        _mount("none", "/", "none", MS_REC | MS_PRIVATE)
        _mount("tmpfs", scratch, "tmpfs", MS_NOSUID, "mode=0755,size=4m")
        self._furnish(scratch, code_cache, visible, links)
        os.makedirs(scratch + "/.old")
        number = SYS_PIVOT_ROOT[os.uname().machine]
        _check(_libc.syscall(number, scratch.encode(), (scratch + "/.old").encode()), "pivot_root")
        os.chdir("/")
        _check(_libc.umount2(b"/.old", MNT_DETACH), "umount the old root")
        os.rmdir("/.old")
        self._try()

    def _furnish(self, root: str, code_cache: str, visible: dict[str, str], links: dict[str, str]) -> None:
        for folder in SYSTEM_FOLDERS:
            if os.path.islink(folder):
                os.symlink(os.readlink(folder), root + folder)
            elif os.path.isdir(folder):
                _bind_readonly(folder, root + folder, recursive=True)
        for target, source in visible.items():
            if os.path.exists(source) and not os.path.exists(root + target):
                _bind_readonly(source, root + target)
        make_links(root, links)
        resolver = os.path.realpath("/etc/resolv.conf")
        if os.path.exists(resolver) and not resolver.startswith("/etc/"):
            _bind_readonly(resolver, root + resolver)
        with open("/etc/passwd") as users:
            known = users.read()
        with open(root + "/.passwd", "w") as users:
            users.write(known + name_users())
        os.chmod(root + "/.passwd", 0o444)
        _mount(root + "/.passwd", root + "/etc/passwd", "none", MS_BIND)
        self._hosts = ""
        if os.path.exists("/etc/hosts"):
            with open("/etc/hosts") as hosts:
                self._hosts = hosts.read().rstrip("\n") + "\n"
            self._name_sandbox(root, ".hosts", "127.0.0.1")
        for folder in ("/proc", "/dev", "/tmp", "/opt", "/var/task", "/var/runtime", CODE_CACHE, IMAGE, *BYTECODE):
            os.makedirs(root + folder, exist_ok=True)
        for device in DEVICES:
            _bind(f"/dev/{device}", f"{root}/dev/{device}")
        for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
            os.symlink(f"/proc/self/fd{target}", f"{root}/dev/{name}")
        _bind_readonly(code_cache, root + CODE_CACHE)
        # Seen by nobody but us: an environment covers it before it runs anything.
        os.chmod(root + "/var", 0o755)

    def _name_sandbox(self, root: str, name: str, address: str) -> None:
        """Let /etc/hosts say that `address` is the sandbox, as extensions know it."""
        with open(f"{root}/{name}", "w") as hosts:
            hosts.write(f"{self._hosts}{address} sandbox.localdomain sandbox.local sandbox\n")
        os.chmod(f"{root}/{name}", 0o444)
        _mount(f"{root}/{name}", root + "/etc/hosts", "none", MS_BIND)

    def _try(self) -> None:
        """Build the walls of one environment that runs nothing, so that a kernel's refusal is known now."""
        pid = self.fork()
        if pid == 0:
            try:
                self.enter()
                self.furnish([], 1, 0, "")
                os._exit(0)
            except OSError as refused:
                os.write(2, f"{refused}\n".encode())
                os._exit(1)
        if os.waitpid(pid, 0)[1] != 0:
            raise OSError("an environment's own mounts are not permitted")

    def fork(self) -> int:
        """Fork a child that is process 1 of a namespace of its own."""
        _check(_libc.unshare(CLONE_NEWPID), "unshare a process namespace")
        try:
            pid = os.fork()
        except OSError:
            pid = -1
        if pid == 0:
            return 0
        _check(_libc.setns(self._own_pid_namespace, CLONE_NEWPID), "return to the own process namespace")
        if pid < 0:
            raise BlockingIOError("no process can be forked")
        return pid

    def enter(self) -> None:
        """Give this process, process 1 of its namespace, mounts of its own; `furnish` completes them."""
        os.close(self._own_pid_namespace)
        _check(_libc.unshare(CLONE_NEWNS), "unshare a mount namespace")
        _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)

    def furnish(self, mounts: list[tuple[str, str]], tmp_mb: int, slot: int, address: str) -> None:
        """Complete the walls of one environment: its code, its layers, its /tmp, and nothing else to write to.

        `mounts` are what it sees of the unpacked code, and where. With an `address` its extensions have one of their
        own.
        """
        owner = FIRST_UID + slot
        _mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, f"mode=0700,size={tmp_mb}m,uid={owner},gid={owner}")
        for folder, place in mounts:
            _bind_readonly(f"{CODE_CACHE}/{folder}", place)
        if address and self._hosts:
            name = f".hosts-{slot}"
            self._name_sandbox("", name, address)
            os.unlink("/" + name)
        _mount("tmpfs", CODE_CACHE, "tmpfs", MS_RDONLY | MS_NOSUID, "mode=0000,size=4k")
        _mount("none", "/", "none", MS_BIND | MS_REMOUNT | MS_RDONLY | _locked_flags("/"))

    def furnish_image(self, folder: str, tmp_mb: int, slot: int, address: str) -> None:
        """Make an unpacked image this environment's root, with /proc, /dev and a /tmp of its own; all else is gone.

        Who unpacked it has seen to it that none of the places where something is mounted is a link.
        """
        owner = FIRST_UID + slot
        _bind(f"{CODE_CACHE}/{folder}", IMAGE)
        _mount("none", IMAGE, "none", MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | _locked_flags(IMAGE))
        if address and self._hosts:
            self._name_sandbox("", f".hosts-{slot}", address)
        for name in ("/etc/hosts", "/etc/resolv.conf"):
            if os.path.exists(name):
                _mount(name, IMAGE + name, "none", MS_BIND)
                _mount("none", IMAGE + name, "none", MS_BIND | MS_REMOUNT | MS_RDONLY | _locked_flags(IMAGE + name))
        if address and self._hosts:
            os.unlink(f"/.hosts-{slot}")  # the fork server's root is small
        _bind_readonly("/dev", IMAGE + "/dev", recursive=True)
        _mount("proc", IMAGE + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        size = f"mode=0700,size={tmp_mb}m,uid={owner},gid={owner}"
        _mount("tmpfs", IMAGE + "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, size)
        # The old root comes to lie over the new one, and is taken away: pivot_root(2) has it.
        os.chdir(IMAGE)
        _check(_libc.syscall(SYS_PIVOT_ROOT[os.uname().machine], b".", b"."), "pivot_root")
        _check(_libc.umount2(b".", MNT_DETACH), "umount the old root")
        os.chdir("/")

    def fork_for(self, snapshot: int, slot: int) -> int:
        """Fork a child that is process 1 of namespaces of its own, which the user of the slot `snapshot` may enter.

        They belong to a user namespace that this user owns, since it was the effective one; only it and the user of
        `slot` are known there. What this process has in /proc must show the child.
        """
        ready, is_known = os.pipe()
        _libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)  # another user, and the rights remain
        os.seteuid(FIRST_UID + snapshot)
        _libc.setfsuid(0)
        # That user may trace what is in namespaces of its own, but nothing like this. The kernel has just set the same,
        # if /proc/sys/fs/suid_dumpable is as it should be.
        _libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        ctypes.pythonapi.PyOS_BeforeFork()
        kinds = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS
        pid: int = _libc.syscall(SYS_CLONE[os.uname().machine], ctypes.c_ulong(kinds | signal.SIGCHLD), 0, 0, 0, 0)
        number = ctypes.get_errno()
        if pid == 0:
            ctypes.pythonapi.PyOS_AfterFork_Child()
            os.close(is_known)
            os.read(ready, 1)
            os.close(ready)
            return 0
        ctypes.pythonapi.PyOS_AfterFork_Parent()
        os.seteuid(0)
        _libc.prctl(PR_SET_SECUREBITS, 0, 0, 0, 0)
        set_parent_death_signal(signal.SIGKILL)  # who changes its user is not told of its parent's end any more
        os.close(ready)
        try:
            if pid < 0:
                raise OSError(number, f"clone a user namespace: {os.strerror(number)}")
            for kind in ("uid_map", "gid_map"):
                with open(f"/proc/{pid}/{kind}", "w") as known:
                    known.write("".join(f"{FIRST_UID + one} {FIRST_UID + one} 1\n" for one in {snapshot, slot}))
        except OSError:
            if pid > 0:
                os.kill(pid, signal.SIGKILL)
            raise
        finally:
            os.close(is_known)
        return pid

    def furnish_copy(self, tmp_mb: int, slot: int) -> None:
        """Complete the walls of a copy: /proc and /tmp of its own, over those of the snapshot."""
        owner = FIRST_UID + slot
        _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        _mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, f"mode=0700,size={tmp_mb}m,uid={owner},gid={owner}")

    def drop(self, slot: int) -> None:
        """Give up every privilege: become a user of this environment's own."""
        uid = FIRST_UID + slot
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def enter_namespace(entrance: int, kind: int) -> None:
    """Move this process (of a namespace of processes: its children) into the namespace that was opened."""
    _check(_libc.setns(entrance, kind), "enter a namespace")


def drop_copy(slot: int) -> None:
    """Become the user of a copy, and give up every right in its user namespace."""
    uid = FIRST_UID + slot
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, (ctypes.c_uint32 * CAPABILITY_WORDS)()), "give up capabilities")


def limit(files: int, processes: int) -> None:
    """Put AWS's limits on this process and its descendants. `processes` of 0 sets none."""
    for number, value in ((resource.RLIMIT_NOFILE, files), (resource.RLIMIT_NPROC, processes)):
        if value:
            hard = resource.getrlimit(number)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(number, (value, value))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
