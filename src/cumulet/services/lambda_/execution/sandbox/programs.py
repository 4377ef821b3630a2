"""What runs the functions of a runtime: a fork of a warm Python, or a program that such a fork becomes."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cumulet.errors import NotImplementedHere
from cumulet.services.lambda_.execution.runtime_names import family_of, number_of
from cumulet.services.lambda_.execution.sandbox.interpreters import Interpreter, find_interpreter, own_interpreter
from cumulet.services.lambda_.execution.sandbox.java import find_java, java_command, java_number, see_java

NODE_RUNTIME = Path(__file__).parents[2] / "runtimes" / "nodejs" / "bootstrap.mjs"
NODE_SEEN_AS = "/var/runtime/index.mjs"
"""Where an environment with walls sees our bootstrap: stack traces name AWS's there too."""
NODE_MODULES_SEEN_AS = "/var/runtime/node_modules"
"""Where it sees the packages of the setting `nodejs_modules`: AWS has its SDK for JavaScript there."""

NODE_MAJORS = range(12, 31, 2)
"""Of runtimes that there were and will be."""

INTERPRETERS = "/var/lang/bin"
"""Where AWS's runtimes have theirs, first on their PATH."""

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
    left_out: tuple[str, ...] = ()
    """What Node.js has by itself, and AWS switches off for the runtime."""

    def commands(
        self,
        task_root: str,
        opt_root: str,
        *,
        isolated: bool,
        handler: str,
        memory_mb: int,
        libraries: str,
        node_options: str,
    ) -> list[list[str]]:
        """Return what the fork may become, the first that is there; nothing if it is the runtime itself.

        `libraries` is where it finds those of Java, `node_options` what the function's own variables say.
        """
        if self.family == "java":
            return [java_command(self.executable, handler, memory_mb, task_root, opt_root, libraries)]
        if self.family == "nodejs":
            wanted = node_options.split()
            without = [f"--no-{feature}" for feature in self.left_out if f"--{feature}" not in wanted]
            return [[self.executable, *NODE_OPTIONS, *without, NODE_SEEN_AS if isolated else str(NODE_RUNTIME)]]
        if self.family == "provided":
            # https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html
            return [[f"{task_root}/bootstrap"], [f"{opt_root}/bootstrap"]]
        return []

    def python_command(self, python_path: str, opt_root: str) -> list[str]:
        """Return what starts our Python runtime in an interpreter of its own, for a wrapper script."""
        return [self.interpreter.executable, f"{python_path}/bootstrap.py", *([opt_root] if opt_root != "/opt" else [])]


NODE_OPTIONS = ("--expose-gc", "--max-http-header-size=81920")
"""As AWS starts it: the client context and the trace travel in headers of the Runtime API."""

_REQUIRE_MODULE, _DETECT_MODULE = "experimental-require-module", "experimental-detect-module"


def left_out_of_node(wanted: int, version: str) -> tuple[str, ...]:
    """Return which features of the Node.js that runs a runtime of that number the runtime has not on AWS.

    They are options that only versions know which have the features:
    https://docs.aws.amazon.com/lambda/latest/dg/lambda-nodejs.html. Node.js 18 and older never had them.
    """
    major, minor = (int(part) for part in version.split(".")[:2])
    if wanted >= 24 or (major, minor) < (20, 19) or major == 21:
        return ()
    return (_REQUIRE_MODULE,) if wanted == 20 else (_REQUIRE_MODULE, _DETECT_MODULE)


def find_program(runtime: str) -> Program:
    """Return what runs a runtime here, or the nearest there is; a container image has none, and brings what it needs.

    Raises NotImplementedHere if nothing does.
    """
    if not runtime:
        return Program("image", own_interpreter())
    if runtime.startswith("python"):
        return Program("python", find_interpreter(runtime))
    if runtime.startswith("provided."):
        return Program("provided", own_interpreter())
    if runtime.startswith("nodejs"):
        number = number_of(runtime)
        if found := find_node(number):
            return Program("nodejs", own_interpreter(), *found, left_out_of_node(int(number), found[1]))
        raise NotImplementedHere(f"Runtime {runtime} on a machine without Node.js")
    if runtime.startswith("java"):
        if found := find_java(number_of(runtime), ask_java):
            return Program("java", own_interpreter(), *found)
        raise NotImplementedHere(f"Runtime {runtime} on a machine without Java")
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
    return _ask(executable, "--version").removeprefix("v")


def ask_python(executable: str) -> str:
    """Return the version of a Python, e.g. 3.12.1; empty if it does not say."""
    found = re.match(r"Python (\d+\.\d+\.\d+)", _ask(executable, "--version"))
    return found[1] if found else ""


def ask_java(executable: str) -> str:
    """Return the version of a JVM, e.g. 17.0.15; empty if it does not say."""
    # Java 8 knows no --version, and every Java writes -version to its standard error: openjdk version "17.0.15" ...
    found = re.search(r'version "([\d._]+)', _ask(executable, "-version"))
    return found[1] if found else ""


def _ask(executable: str, option: str) -> str:
    try:
        told = subprocess.run(
            [executable, option],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.strip()


def substitution_note(runtime: str, version: str) -> str:
    """Return a line for a function's log if it does not run on the version that it names; else nothing."""
    family, wanted = family_of(runtime), number_of(runtime)
    told = str(java_number(version)) if family == "java" else version
    if family == "provided" or told == wanted or told.startswith(wanted + "."):
        return ""
    return f"cumulet: {runtime} does not run on this machine; this environment runs on {family}{version}\n"


def link_interpreters(python: Interpreter) -> dict[str, str]:
    """Return by which paths an environment with walls finds interpreters where AWS's runtimes have them.

    Extensions and wrapper scripts start by them: `#!/usr/bin/env python` finds the function's own Python.
    """
    names = ("python", "python3", Path(python.executable).name)
    links = {f"{INTERPRETERS}/{name}": python.executable for name in names}
    if path := shutil.which("node"):
        links[f"{INTERPRETERS}/node"] = os.path.realpath(path)
    return links


@dataclass(frozen=True, slots=True)
class Libraries:
    """Folders of this machine with what AWS's runtimes bring along and this package does not; empty if not named."""

    java: str = ""
    nodejs: str = ""


def see_programs(libraries: Libraries) -> dict[str, str]:
    """Return what an environment with walls must see beside its Python: our bootstrap for Node.js, installations."""
    seen = {NODE_SEEN_AS: str(NODE_RUNTIME)}
    if libraries.nodejs:
        seen[NODE_MODULES_SEEN_AS] = libraries.nodejs
    if path := shutil.which("java"):
        seen |= see_java(os.path.realpath(path), libraries.java)
    for name in ("node", "nodejs", *(f"node{dash}{major}" for major in NODE_MAJORS for dash in ("", "-"))):
        if path := shutil.which(name):
            executable = Path(path).resolve()
            # No more than it needs: what it is installed in may be somebody's home.
            seen |= {str(needed): str(needed) for needed in (executable, executable.parents[1] / "lib")}
    return seen
