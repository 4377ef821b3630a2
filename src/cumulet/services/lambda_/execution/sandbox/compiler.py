"""Makes the bytecode of a package ahead of its environments: a program of its own, which runs none of the package.

    python -I -S compiler.py FOLDER TARGET SEEN_AS PARENT

TARGET gets for each module below FOLDER the file that Python would put into the `__pycache__` beside it, as if FOLDER
were SEEN_AS. It is run by the interpreter that will read them (3.9 or newer), takes only the processor time that nobody
else wants, and ends with PARENT, the process that started it. Any status but 0 means that TARGET is not whole.

Left to whoever imports it are: what cannot be compiled; what is compiled with a warning, so that each environment's log
has that, as on AWS; and what the package brings bytecode for that Python takes without looking at the source's time.
"""

# Python 3.9 must be able to read it, and little is imported.
# ruff: noqa: PTH102, PTH114, PTH118, PTH123, SIM105

from __future__ import annotations

import ctypes
import importlib.util
import os
import py_compile
import resource
import signal
import sys
import warnings
from collections.abc import Iterator

PROCESSOR_S_MAX = 300
ADDRESS_SPACE_BYTES_MAX = 1024 * 1024 * 1024
PR_SET_PDEATHSIG = 1
FOLDERS_LEFT_OUT = frozenset(("__pycache__", "test", "tests"))
"""What libraries test themselves with is often half of their code, and not imported where they are used."""
FLAG_HASH_BASED = 1


def step_back(parent: int) -> None:
    """Leave the machine to others, be bounded, and end with the parent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        try:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        except OSError:
            pass  # some containers' kernels
    os.nice(19)
    if os.getppid() != parent:
        sys.exit(1)
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S_MAX, PROCESSOR_S_MAX))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES_MAX, ADDRESS_SPACE_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def modules(folder: str) -> Iterator[str]:
    """Yield the paths of the source files below a folder, seen from it."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - FOLDERS_LEFT_OUT)
        for name in sorted(names):
            path = os.path.join(parent, name)
            if name.endswith(".py") and not os.path.islink(path) and not brings_its_own(path):
                yield os.path.relpath(path, folder)


def brings_its_own(path: str) -> bool:
    """Tell whether there is bytecode beside a source file that is not bound to the time of that file."""
    try:
        with open(importlib.util.cache_from_source(path), "rb") as file:
            head = file.read(8)
    except OSError:
        return False
    return head[:4] == importlib.util.MAGIC_NUMBER and bool(int.from_bytes(head[4:], "little") & FLAG_HASH_BASED)


def main(folder: str, target: str, seen_as: str, parent: str) -> None:
    """Make the bytecode."""
    step_back(int(parent))
    os.umask(0o022)
    warnings.simplefilter("error", SyntaxWarning)
    os.mkdir(target)
    for path in modules(folder):
        try:
            py_compile.compile(
                os.path.join(folder, path),
                os.path.join(target, importlib.util.cache_from_source(path)),
                os.path.join(seen_as, path),
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except py_compile.PyCompileError:
            continue


if __name__ == "__main__":
    main(*sys.argv[1:])
