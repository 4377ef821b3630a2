"""What runs the functions of a runtime: a fork of a warm Python, or a program that such a fork becomes."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cumulet.errors import NotImplementedHere
from cumulet.services.lambda_.execution.sandbox.interpreters import Interpreter, find_interpreter, own_interpreter

NODE_RUNTIME = Path(__file__).parents[2] / "runtimes" / "nodejs" / "bootstrap.mjs"
NODE_SEEN_AS = "/var/runtime/index.mjs"
"""Where an environment with walls sees our bootstrap: stack traces name AWS's there too."""

_VERSION_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Program:
    """How an environment of a runtime is started."""

    family: str
    """The runtime's name without its version: python, nodejs, provided."""
    interpreter: Interpreter
    """Whose fork server it starts from."""
    executable: str = ""
    """Of a runtime that is no Python."""
    version: str = ""
    """What the executable says of itself."""

    def commands(self, task_root: str, opt_root: str, *, isolated: bool) -> list[list[str]]:
        """Return what the fork may become, the first that is there; nothing if it is the runtime itself."""
        if self.family == "nodejs":
            return [[self.executable, *NODE_OPTIONS, NODE_SEEN_AS if isolated else str(NODE_RUNTIME)]]
        if self.family == "provided":
            # https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html
            return [[f"{task_root}/bootstrap"], [f"{opt_root}/bootstrap"]]
        return []


NODE_OPTIONS = ("--expose-gc", "--max-http-header-size=81920")
"""As AWS starts it: the client context and the trace travel in headers of the Runtime API."""


def find_program(runtime: str) -> Program:
    """Return what runs a runtime here, or the nearest there is. Raises NotImplementedHere if nothing does."""
    if runtime.startswith("python"):
        return Program("python", find_interpreter(runtime))
    if runtime.startswith("provided."):
        return Program("provided", own_interpreter())
    if runtime.startswith("nodejs"):
        if found := find_node(runtime.removeprefix("nodejs").partition(".")[0]):
            return Program("nodejs", own_interpreter(), *found)
        raise NotImplementedHere(f"Runtime {runtime} on a machine without Node.js")
    raise NotImplementedHere(f"Runtime {runtime}")


def find_node(major: str) -> tuple[str, str] | None:
    """Return the path and the version of the Node.js of that number, else of the machine's; None if there is none."""
    nearest: tuple[str, str] | None = None
    for name in (f"node{major}", f"node-{major}", "node", "nodejs"):
        if (path := shutil.which(name)) and (version := ask_version(path)):
            if version.partition(".")[0] == major:
                return os.path.realpath(path), version
            nearest = nearest or (os.path.realpath(path), version)
    return nearest


def ask_version(executable: str) -> str:
    """Return what `--version` says, without a leading v; empty if it says nothing."""
    try:
        told = subprocess.run(
            [executable, "--version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.strip().removeprefix("v")


def substitution_note(runtime: str, version: str) -> str:
    """Return a line for a function's log if it does not run on the version that it names; else nothing."""
    family = runtime.rstrip("0123456789.x")
    wanted = runtime[len(family) :].removesuffix(".x")
    if family not in ("python", "nodejs") or version == wanted or version.startswith(wanted + "."):
        return ""
    return f"cumulet: {runtime} is not on this machine; this environment runs on {family}{version}\n"


def see_node() -> dict[str, str]:
    """Return what an environment with walls must see of Node.js: our bootstrap, and an installation of its own."""
    seen = {NODE_SEEN_AS: str(NODE_RUNTIME)}
    if path := shutil.which("node"):
        prefix = str(Path(path).resolve().parents[1])
        seen[prefix] = prefix
    return seen
