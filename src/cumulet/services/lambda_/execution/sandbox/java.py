"""How Java functions are started: by a JVM of the machine, with AWS's own runtime interface client.

The client (com.amazonaws:aws-lambda-java-runtime-interface-client) is AWS's code and not part of this package. A
function brings it in its package or in a layer, or the setting `java_runtime` names a folder that has it, with the
libraries that it needs.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

CLIENT = "aws-lambda-java-runtime-interface-client"
MAIN = "com.amazonaws.services.lambda.runtime.api.client.AWSLambda"
LIBRARIES_SEEN_AS = "/var/runtime/lib"
"""Where an environment with walls sees the folder that the setting names."""

HEAP_SHARE = 0.85
"""How much of a function's memory its heap may take; the rest is the JVM's own. AWS takes about as much."""

_JVMS = Path("/usr/lib/jvm")


def find_java(major: str, ask: Callable[[str], str]) -> tuple[str, str] | None:
    """Return the path and the version of the JVM of that number, else of the nearest; None if there is none.

    A newer one is nearer than an older, which cannot read what was compiled for that number. `ask` tells the version of
    an executable.
    """
    found = {path: version for path in _candidates() if (version := ask(path))}
    by_distance = sorted(found, key=lambda path: _distance(int(major), java_number(found[path])))
    return (by_distance[0], found[by_distance[0]]) if by_distance else None


def java_number(version: str) -> int:
    """Return the number by which a version of Java is known: 8 for 1.8.0_412, 17 for 17.0.15."""
    first, _, rest = version.partition(".")
    number = rest.partition(".")[0] if first == "1" else first
    return int(number) if number.isdigit() else 0


def _distance(wanted: int, number: int) -> tuple[bool, int]:
    return number < wanted, abs(number - wanted)


def _candidates() -> Iterator[str]:
    if path := shutil.which("java"):
        yield str(Path(path).resolve())
    for folder in sorted(_JVMS.iterdir()) if _JVMS.is_dir() else ():
        if (executable := folder / "bin" / "java").is_file() and not folder.is_symlink():
            yield str(executable.resolve())


def java_command(
    executable: str, handler: str, memory_mb: int, task_root: str, opt_root: str, libraries: str
) -> list[str]:
    """Return the command line of a Java runtime."""
    path = [task_root, f"{task_root}/lib/*", f"{opt_root}/java/lib/*", *([f"{libraries}/*"] if libraries else [])]
    heap_kb = int(memory_mb * 1024 * HEAP_SHARE)
    options = [f"-XX:MaxHeapSize={heap_kb}k", "-XX:+UseSerialGC", "-XX:+TieredCompilation", "-XX:TieredStopAtLevel=1"]
    return [executable, *options, "-cp", ":".join(path), MAIN, handler]


def has_client(code: Path, layers: Path | None, libraries: str) -> bool:
    """Tell whether AWS's client is anywhere that the class path leads to."""
    jars = [code / "lib", *([layers / "java" / "lib"] if layers else []), *([Path(libraries)] if libraries else [])]
    if any(next(folder.glob(f"{CLIENT}*.jar"), None) for folder in jars):
        return True
    return (code / f"{MAIN.replace('.', '/')}.class").is_file()


def see_java(executable: str, libraries: str) -> dict[str, str]:
    """Return what an environment with walls must see: the JVM's installation, and the libraries of the setting."""
    seen = {LIBRARIES_SEEN_AS: libraries} if libraries else {}
    prefix = str(Path(executable).parents[1])
    return {**seen, prefix: prefix}
