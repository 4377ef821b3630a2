"""Which Python runs a runtime: the one of its name if the machine has it, else the nearest, and it says so."""

import importlib.util
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cumulet.errors import NotImplementedHere

_log = logging.getLogger(__name__)

SDK_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
"""What AWS's Python runtimes bring along. Nothing else of the server's own packages is seen by a function."""

MINORS = range(9, 16)
"""Which Pythons can be fork servers: 3.9 to 3.15."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that can run functions."""

    executable: str
    prefix: str
    """Where its standard library and shared objects are."""


def find_interpreter(runtime: str) -> Interpreter:
    """Return the interpreter for a runtime name, else the nearest there is, newer before older.

    Raises NotImplementedHere for runtimes that are not Python.
    """
    family, _, version = runtime.partition("python3.")
    if family or not version.isdigit():
        raise NotImplementedHere(f"Runtime {runtime}")
    wanted, own = int(version), sys.version_info.minor
    for minor in sorted({*MINORS, own}, key=lambda minor: (abs(minor - wanted), minor < wanted)):
        if minor < own and minor < oldest_minor(sdk_requirements()):
            continue
        found = own_interpreter() if minor == own else find_installed(f"python3.{minor}")
        if found is not None:
            if minor != wanted:
                _log.warning("%s is not here, or too old for boto3: its functions run on python3.%s", runtime, minor)
            return found
    return own_interpreter()


def oldest_minor(requirements: Iterable[str]) -> int:
    """Return the oldest Python 3 that meets all requirements of the form ">=3.10"."""
    return max((int(minor) for text in requirements for minor in re.findall(r">=\s*3\.(\d+)", text)), default=0)


@cache
def sdk_requirements() -> tuple[str, ...]:
    """Return which Pythons the SDK needs that functions are given. It is the server's own, so the server's will do."""
    from importlib.metadata import metadata  # a tenth of a second, for who has functions of older Pythons

    return tuple(metadata(package)["Requires-Python"] for package in ("boto3", "botocore", "urllib3"))


def find_installed(name: str) -> Interpreter | None:
    """Return the installation of a Python by the name of its executable, if the machine has one."""
    if (path := shutil.which(name)) is None:
        return None
    executable = Path(path)
    if executable.parent.name == "shims":  # pyenv's: a script that does not tell where its Pythons are
        version = name.removeprefix("python")
        installed = executable.parents[1].glob(f"versions/{version}.*/bin/{name}")
        # By number: 3.12.10 is newer than 3.12.9.
        executable = max(installed, key=lambda path: _patch_of(path.parents[1].name), default=executable)
    executable = executable.resolve()
    prefix = executable.parents[1]
    return Interpreter(str(executable), str(prefix)) if (prefix / "lib" / name).is_dir() else None


def _patch_of(version: str) -> int:
    patch = version.rpartition(".")[2]
    return int(patch) if patch.isdigit() else -1


def own_interpreter() -> Interpreter:
    """Return the interpreter that runs the server, without its virtual environment."""
    return Interpreter(os.path.realpath(sys.executable), sys.base_prefix)


def find_sdk() -> dict[str, str]:
    """Return where boto3 and what belongs to it lie, by file name."""
    found = {}
    for package in SDK_PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            path = Path(spec.origin)
            path = path.parent if path.name == "__init__.py" else path
            found[path.name] = str(path)
    return found
