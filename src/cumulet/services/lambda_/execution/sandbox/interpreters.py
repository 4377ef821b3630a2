"""Which Python runs a runtime: the one of its name if the machine has it, else the server's own, and it says so."""

import importlib.util
import logging
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from cumulet.errors import NotImplementedHere

_log = logging.getLogger(__name__)

SDK_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
"""What AWS's Python runtimes bring along. Nothing else of the server's own packages is seen by a function."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that can run functions."""

    executable: str
    prefix: str
    """Where its standard library and shared objects are."""


def find_interpreter(runtime: str) -> Interpreter:
    """Return the interpreter for a runtime name. Raises NotImplementedHere for runtimes that are not Python."""
    family, _, version = runtime.partition("python")
    if family or not version:
        raise NotImplementedHere(f"Runtime {runtime}")
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version != own:
        if found := shutil.which(runtime):
            executable = os.path.realpath(found)
            # A shim or a wrapper script does not tell where its library is; an installation's bin folder does.
            if (Path(executable).parents[1] / "lib" / runtime).is_dir():
                return Interpreter(executable, str(Path(executable).parents[1]))
        _log.warning("%s is not on this machine: functions of that runtime run on python%s", runtime, own)
    return own_interpreter()


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
