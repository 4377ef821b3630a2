"""`cumulet doctor`: what this machine offers to functions and to the server, and what it does not."""

import asyncio
import logging
import os
import platform
import shutil
import socket
import sqlite3
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cumulet import __version__
from cumulet.cli.console import CliError, out
from cumulet.errors import NotImplementedHere
from cumulet.services.lambda_.control.runtimes import NOT_HERE, RUNNABLE
from cumulet.services.lambda_.execution.images.engine import find_engines, try_engine
from cumulet.services.lambda_.execution.sandbox.interpreters import own_interpreter
from cumulet.services.lambda_.execution.sandbox.programs import ask_version, find_program, substitution_note
from cumulet.services.lambda_.execution.sandbox.zygote import Zygote
from cumulet.settings import Settings, SettingsError, make_settings

DISK_BYTES_MIN = 1024**3
"""Below that much room the code of a few functions fills the disk."""
YEAR_MIN = 2025
"""A clock that says less was never set: SigV4 dates and certificates would not hold."""

Grade = Literal["ok", "note", "bad"]
_MARKS: dict[Grade, str] = {"ok": "[green]ok  [/green]", "note": "[yellow]note[/yellow]", "bad": "[red]bad [/red]"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `note` is worth knowing, `bad` keeps the server from working."""

    grade: Grade
    subject: str
    words: str


def examine(**flags: Any) -> int:
    """Print what was found; return 1 if the server could not work here, else 0."""
    try:
        settings = make_settings(**flags)
    except SettingsError as error:
        raise CliError(str(error)) from error
    logging.getLogger("cumulet").addHandler(logging.NullHandler())  # what is logged on the way is told below
    worst = 0
    looks = (
        look_at_versions,
        look_at_clock,
        look_at_port,
        look_at_store,
        look_at_walls,
        look_at_runtimes,
        look_at_images,
    )
    for look in looks:
        for finding in look(settings):
            out.print(f"{_MARKS[finding.grade]}  {finding.subject:<16}", end="")
            out.print(finding.words, markup=False)
            worst = max(worst, int(finding.grade == "bad"))
    return worst


def look_at_versions(settings: Settings) -> Iterator[Finding]:
    """Tell what runs here."""
    own = platform.python_version()
    yield Finding("ok", "cumulet", f"{__version__} on Python {own}, {platform.system()} {platform.machine()}")
    executable = own_interpreter().executable
    if not is_optimised(executable, sysconfig.get_config_var("CONFIG_ARGS") or ""):
        yield Finding(
            "note",
            "speed",
            f"{executable} was compiled without --enable-optimizations: with a distribution's Python most of what is "
            "done here takes three quarters of the time",
        )


def is_optimised(executable: str, configured: str) -> bool:
    """Return whether a Python was optimised by profile: distributions do it, and hide that they do."""
    return "--enable-optimizations" in configured or executable.startswith("/usr/bin/")


def look_at_clock(settings: Settings) -> Iterator[Finding]:
    """Tell whether the machine's clock can be believed."""
    now = time.gmtime()
    words = time.strftime("%Y-%m-%dT%H:%M:%SZ", now)
    if now.tm_year < YEAR_MIN:
        yield Finding("bad", "clock", f"{words} cannot be: set it, or signatures do not hold")
    else:
        yield Finding("ok", "clock", words)


def look_at_port(settings: Settings) -> Iterator[Finding]:
    """Tell whether the server's port is free."""
    where = f"{settings.host}:{settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as refused:
            yield Finding("note", "port", f"{where}: {refused.strerror}; `cumulet status` tells whether it is Cumulet")
            return
    yield Finding("ok", "port", f"{where} is free")


def look_at_store(settings: Settings) -> Iterator[Finding]:
    """Tell whether the data folder can be written to, and what it would hold."""
    if settings.store:
        yield Finding("ok", "store", "a database, which is asked when the server starts")
    else:
        yield Finding("ok", "store", f"SQLite {sqlite3.sqlite_version}, durability {settings.durability}")
    folder = settings.data_dir.resolve()
    present = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not present.is_dir() or not os.access(present, os.W_OK | os.X_OK):
        yield Finding("bad", "data folder", f"{folder} cannot be written to")
        return
    free = shutil.disk_usage(present).free
    grade: Grade = "ok" if free >= DISK_BYTES_MIN else "note"
    yield Finding(grade, "data folder", f"{folder}, {free / 1024**3:.1f} GB free")


def look_at_walls(settings: Settings) -> Iterator[Finding]:
    """Tell whether functions run inside namespaces of their own, by building them once."""
    try:
        refused = asyncio.run(try_walls())
    except (OSError, TimeoutError) as failure:
        yield Finding("bad", "functions", f"no Python can be started for them: {failure}")
        return
    if refused:
        yield Finding(
            "note",
            "walls",
            f"none ({refused}): functions can read what the server can read, and share /tmp; layers are not in /opt",
        )
    else:
        yield Finding("ok", "walls", "functions have their own files, /tmp, processes and user")
    yield Finding(
        "note",
        "network",
        "is the machine's: an extension with a fixed port of localhost has room in one environment at a time",
    )


async def try_walls() -> str:
    """Return why there can be no walls around a function; nothing if there can. Raises OSError if nothing runs."""
    with tempfile.TemporaryDirectory(prefix="cumulet-doctor-") as name:
        folder = Path(name)
        (folder / "code").mkdir()
        zygote = Zygote(own_interpreter(), folder, folder / "code")
        await zygote.start(lambda: None)
        await zygote.close()
        return "" if zygote.isolated else zygote.no_walls


def look_at_runtimes(settings: Settings) -> Iterator[Finding]:
    """Tell for each of AWS's runtimes what it runs on here."""
    for runtime in RUNNABLE:
        yield judge_runtime(runtime, ask_version)
    yield Finding("note", "others", f"refused by name: {', '.join(NOT_HERE)}")


def look_at_images(settings: Settings) -> Iterator[Finding]:
    """Tell which container engines hand out images; that they run takes walls, too."""
    found = find_engines()
    if not found:
        words = "no podman and no docker on the PATH: functions of the package type Image are refused; install either"
        yield Finding("note", "images", words)
    for path in found:
        if refused := asyncio.run(try_engine(path)):
            yield Finding("note", "images", f"{path} does not answer: {refused}")
        else:
            yield Finding("ok", "images", f"functions run from those that {path} has, where there are walls")


BROUGHT_ALONG = {
    "java": ", with AWS's client from the package or CUMULET_JAVA_RUNTIME",
    "nodejs": ", with AWS's SDK from the package or CUMULET_NODEJS_MODULES",
}


def judge_runtime(runtime: str, ask: Callable[[str], str]) -> Finding:
    """Return what a runtime runs on; `ask` tells the version of an executable."""
    try:
        program = find_program(runtime)
    except NotImplementedHere:
        return Finding("note", runtime, "not on this machine; its functions are refused")
    if program.family == "provided":
        return Finding("ok", runtime, "runs the bootstrap of the function or of a layer")
    with_what = BROUGHT_ALONG.get(program.family, "")
    executable = program.executable or program.interpreter.executable
    version = program.version or (
        platform.python_version()
        if executable == os.path.realpath(sys.executable)
        else ask(executable).removeprefix("Python ")
    )
    if substitution_note(runtime, version):
        return Finding(
            "note", runtime, f"does not run on this machine; its functions run on {version} ({executable}){with_what}"
        )
    return Finding("ok", runtime, f"{version} ({executable}){with_what}")
