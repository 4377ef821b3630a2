"""What `sam build` makes of a folder whose code does not run as it lies there: dependencies, bundles, makefiles.

https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-using-build.html
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cumulet.cli.console import CliError, err
from cumulet.errors import NotImplementedHere
from cumulet.services.lambda_.execution.sandbox.interpreters import find_interpreter

LEFT_OUT = {"__pycache__", ".git", ".venv", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".aws-sam", ".cumulet"}
TIMEOUT_S = 1800

BUILT_HERE = ("python3.", "nodejs", "makefile", "esbuild")
SAM_BUILD = "run `sam build`, and deploy .aws-sam/build/template.yaml"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be built, and how."""

    logical_id: str
    source: Path
    method: str = ""
    """A runtime's name, esbuild, makefile; empty for what is taken as it lies there."""
    in_folder: str = ""
    """Where in the archive everything belongs: layers of a language have it in a folder of its name."""
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def work(self) -> Hashable:
        """What two orders share if the same comes of them: a Makefile has a rule for each resource."""
        name = self.logical_id if self.method == "makefile" else ""
        return self.source, self.method, self.in_folder, name, json.dumps(self.properties, default=str)


def order_of(logical_id: str, resource: Mapping[str, Any], properties: Mapping[str, Any], source: Path) -> Order:
    """Return how the code of a resource is built; `properties` are the resource's own and those of Globals.

    A function of Python or Node.js is built for its runtime, a layer only where its metadata say how. Raises CliError
    for what takes a compiler, unless it has been compiled.
    """
    metadata = resource.get("Metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    method = str(metadata.get("BuildMethod", ""))
    is_layer = resource["Type"].endswith("::LayerVersion")
    if str(metadata.get("SkipBuild", "")).lower() == "true":
        return Order(logical_id, source)
    if method and not method.startswith(BUILT_HERE) and not (source / "bootstrap").exists():
        raise CliError(f"the BuildMethod {method} of {logical_id} is not built in: {SAM_BUILD}")
    if not method and not is_layer:
        runtime = properties.get("Runtime", "")
        # Where only the stack will know which one it is, ours will do.
        method = f"python3.{sys.version_info.minor}" if isinstance(runtime, dict) else str(runtime)
    family = next((family for family in ("python", "nodejs") if is_layer and method.startswith(family)), "")
    given = metadata.get("BuildProperties")
    given = given if isinstance(given, dict) else {}
    known = next((names for kind, names in PROPERTIES.items() if method.startswith(kind)), frozenset())
    # Of the metadata, these say where a Makefile lies and works.
    elsewhere = {"ContextPath", "WorkingDirectory", "ProjectRootDirectory"}.intersection(metadata)
    unknown = sorted(str(name) for name in {*elsewhere, *given} - known)
    if unknown and method.startswith(BUILT_HERE):
        raise CliError(f"{logical_id} is built with {', '.join(unknown)}, which is not built in: {SAM_BUILD}")
    return Order(logical_id, source, method, family, given)


def build(order: Order, scratch: Path) -> list[Path]:
    """Return the folders whose files are the archive, a later one's before an earlier one's; `scratch` is for the work.

    Raises CliError with what the tools say if it cannot be built.
    """
    target = scratch / "archive"
    into = target / order.in_folder
    into.mkdir(parents=True, exist_ok=True)
    if order.method == "makefile":
        _make(order, into, scratch / "source")
        return [target]
    if order.method == "esbuild":
        _bundle(order, into, scratch / "source")
        return [target]
    if order.method.startswith("python3."):
        _install_for_python(order, into)
    elif order.method.startswith("nodejs") and _lacks_packages(order.source):
        _copy(order.source, into)  # scripts of the package's may run
        _npm(order, into, "--omit=dev")
        return [target]
    elif order.method.startswith("java") and (plan := _plan_of_java(order.source)):
        raise CliError(f"{order.logical_id} has to be compiled by its {plan}: {SAM_BUILD}")
    if order.in_folder:
        _copy(order.source, into)
        return [target]
    return [target, order.source]


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files that go into an archive, by their names in it; links are what they lead to."""
    for place, folders, names in os.walk(folder, followlinks=True):
        within = Path(place)
        real = os.path.realpath(place)
        # A link to a folder that it lies in would never end.
        folders[:] = sorted(
            name for name in {*folders} - LEFT_OUT if not f"{real}/".startswith(f"{os.path.realpath(within / name)}/")
        )
        for name in sorted({*names} - LEFT_OUT):
            path = within / name
            if path.is_file() and path.suffix != ".pyc":
                yield path.relative_to(folder).as_posix(), path


def _copy(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for name, path in files_of(source):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target / name)  # make looks at their times


def _plan_of_java(source: Path) -> str:
    """Return the name of the file that says how a folder's sources are compiled; empty if there is none."""
    return next((name for name in ("pom.xml", "build.gradle", "build.gradle.kts") if (source / name).is_file()), "")


def _install_for_python(order: Order, into: Path) -> None:
    """Install for the Python that runs such functions here: compiled libraries fit no other."""
    requirements = order.source / "requirements.txt"
    if not requirements.is_file() or not any(
        line.partition("#")[0].strip() for line in requirements.read_text(errors="replace").splitlines()
    ):
        return
    try:
        python = find_interpreter(order.method).executable
    except NotImplementedHere as unknown:
        raise CliError(f"{order.logical_id} is to be built for {order.method}, which is no Python") from unknown
    # -P: modules of the function's are not pip's.
    pip = [sys.executable, "-P", "-m", "pip", "--quiet", "--python", python, "install", "--no-compile"]
    _run(order, "requirements", [*pip, "--target", str(into), "-r", str(requirements)], order.source)


def _lacks_packages(source: Path) -> bool:
    """Tell whether package.json needs anything at run time that nobody has installed."""
    return not (source / "node_modules").is_dir() and bool(_dependencies(source, "dependencies"))


def _dependencies(source: Path, kind: str) -> Mapping[str, Any]:
    package = source / "package.json"
    if not package.is_file():
        return {}
    try:
        told = json.loads(package.read_text())
    except ValueError as wrong:
        raise CliError(f"{package} is no JSON: {wrong}") from wrong
    found = told.get(kind) if isinstance(told, dict) else None
    return found if isinstance(found, dict) else {}


def _npm(order: Order, folder: Path, *options: str) -> None:
    """Make node_modules in `folder`, a copy of the source."""
    npm = shutil.which("npm")
    if npm is None:
        raise CliError(f"{order.logical_id} needs what its package.json names, and there is no npm to install it")
    for name, version in _dependencies(folder, "dependencies").items():
        kind, _, place = version.partition("file:") if isinstance(version, str) else ("", "", "")
        # A package of the user's own that is no part of the copy.
        if place and not kind and not (folder / place).resolve().is_relative_to(folder.resolve()):
            raise CliError(f"{order.logical_id} needs {name} from {version}: run `npm install` in {order.source} first")
    command = "ci" if (folder / "package-lock.json").is_file() else "install"
    _run(order, "packages", [npm, command, "--no-audit", "--no-fund", "--loglevel=error", *options], folder)


def _make(order: Order, into: Path, copy: Path) -> None:
    """Have the Makefile make what it calls build-<logical id>, in a copy of the folder."""
    make = shutil.which("make")
    if make is None:
        raise CliError(f"{order.logical_id} is built by a Makefile, and there is no make")
    _copy(order.source, copy)
    _run(order, "files", [make, f"build-{order.logical_id}", f"ARTIFACTS_DIR={into}"], copy)


# The options by which esbuild knows what a template's BuildProperties say, with SAM's defaults:
# https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-using-build-typescript.html
_FLAGS = {"Minify": True, "Sourcemap": False, "KeepNames": False}
_SINGLE = {"Format": "cjs", "Target": "es2020", "SourcesContent": None, "MainFields": None, "LogLevel": None}
_REPEATED = {"External": ":", "Loader": ":", "OutExtension": ":", "Alias": ":", "Banner": ":", "Footer": ":"}

PROPERTIES = {
    "esbuild": frozenset({*_FLAGS, *_SINGLE, *_REPEATED, "EntryPoints", "UseNpmCi"}),
    "nodejs": frozenset({"UseNpmCi"}),
}
"""The BuildProperties of each method. Where there is a lock file, `npm ci` is what is used anyway."""


def _bundle(order: Order, into: Path, copy: Path) -> None:
    """Have esbuild bundle the entry points, as it is installed with the function or on the PATH."""
    given = order.properties
    folder = order.source
    installed = _find_esbuild(folder, *folder.resolve().parents)
    if not installed:
        folder = copy
        _copy(order.source, folder)
        if _dependencies(folder, "dependencies") or _dependencies(folder, "devDependencies"):
            _npm(order, folder, "--include=dev")
    esbuild = installed or _find_esbuild(folder) or shutil.which("esbuild")
    if esbuild is None:
        raise CliError(f"{order.logical_id} is built by esbuild: install it (`npm install --save-dev esbuild`)")
    command = [esbuild, *(_texts(order, "EntryPoints") or ["app"]), "--bundle", "--platform=node", f"--outdir={into}"]
    command += [f"--{_dashed(name)}" for name, default in _FLAGS.items() if given.get(name, default) in (True, "true")]
    for name, default in _SINGLE.items():
        if (value := given.get(name, default)) is not None:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command.append(f"--{_dashed(name)}={text}")
    for name, joint in _REPEATED.items():
        command += [f"--{_dashed(name)}{joint}{value}" for value in _texts(order, name)]
    _run(order, "bundle", command, folder)


def _texts(order: Order, name: str) -> list[str]:
    """Return what a property lists."""
    given = order.properties.get(name) or []
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise CliError(f"{name} of {order.logical_id} is no list of texts")
    return texts


def _find_esbuild(*places: Path) -> str:
    for place in places:
        if (found := place / "node_modules" / ".bin" / "esbuild").exists():
            return str(found)
    return ""


def _dashed(name: str) -> str:
    """Return an option as a command line has it: OutExtension becomes out-extension."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("-")


def _run(order: Order, what: str, command: list[str], folder: Path) -> None:
    err.print(f"  making the {what} of {order.logical_id} ...", markup=False)
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise CliError(f"the {what} of {order.logical_id} were not made within {TIMEOUT_S} s") from late
    if done.returncode != 0:
        told = (done.stderr.strip() or done.stdout.strip())[-4000:]
        raise CliError(f"the {what} of {order.logical_id} could not be made:\n{told}")
