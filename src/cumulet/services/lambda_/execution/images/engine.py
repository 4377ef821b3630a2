"""The container engines of this machine, as far as functions need them: what an image is, and its files.

An engine is podman's or docker's command line. It is asked which image a name stands for, and hands out the image's
files; it pulls nothing and runs nothing for us. What it hands out is as foreign as an archive: `tree.py` unpacks it.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.records import ImageUse

ENGINES = ("podman", "docker")

LABEL = "cumulet.unpacks"
"""Marks the containers that we make of images to get at their files, with the process that does it."""

_REFERENCE = re.compile(
    r"(?:(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
"""https://github.com/distribution/reference: host, repository, tag and digest. No option of a command looks so."""
_SUFFIX = re.compile(r"(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?$")

_ARCHITECTURES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}

_ABSENT = ("no such image", "no such object", "image not known", "not found", "unable to find", "unsupported transport")
_DENIED = ("permission denied", "access denied", "unauthorized", "denied:")


class EngineError(Exception):
    """An engine has not done what it was asked for; `words` are its own, on one line."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class ImageAbsent(EngineError):
    """No engine of this machine has the image."""


class ImageDenied(EngineError):
    """An engine may not be asked by us, or may not look at the image."""


class ImageUnfit(EngineError):
    """It is no image that a function can be made of."""


def find_engines() -> list[str]:
    """Return the paths of the engines that the machine has."""
    return [path for name in ENGINES if (path := shutil.which(name))]


async def try_engine(engine: str) -> str:
    """Return why an engine does not answer; nothing if it does."""
    try:
        await _run(engine, "images", "--quiet")
    except EngineError as refused:
        return refused.words
    return ""


def is_reference(uri: str) -> bool:
    """Tell whether this can be the name of an image."""
    return len(uri) <= limits.IMAGE_URI_CHARS_MAX and _REFERENCE.fullmatch(uri) is not None


async def inspect(uri: str, *names: str) -> tuple[str, ImageUse]:
    """Return an engine that has the image, and what the image is: under one of these names, or else under its own."""
    refusals: list[EngineError] = []
    for engine in find_engines():
        for name in names or (uri,):
            try:
                told = await _run(engine, "image", "inspect", name)
                return engine, read_image(uri, told)
            except ImageUnfit:
                raise
            except EngineError as refused:
                refusals.append(refused)
    # One that does not answer, such as a client without its daemon, is as if it were not there.
    for kind in (ImageDenied, ImageAbsent, EngineError):
        for refusal in refusals:
            if isinstance(refusal, kind):
                raise refusal
    raise ImageAbsent("there is no container engine on the PATH")


def read_image(uri: str, told: bytes) -> ImageUse:
    """Return what an engine tells of an image. Raises ImageUnfit."""
    try:
        found: dict[str, Any] = json.loads(told)[0]
        config: dict[str, Any] = found.get("Config") or {}
        image_id = str(found["Id"]).removeprefix("sha256:")
        if image_id.startswith(uri) and not _is_tagged(uri, found):
            # Engines take the beginning of an id for a name; whoever says "5" did not mean any image that begins so.
            raise ImageAbsent(f"{uri}: no such image")
        digest = _digest_of(uri, found) or image_id
        image = ImageUse(
            uri=uri,
            resolved_uri=f"{repository_of(uri)}@sha256:{digest}",
            digest=digest,
            image_id=image_id,
            size=int(found["Size"]),
            architecture=_ARCHITECTURES.get(found.get("Architecture", ""), str(found.get("Architecture", ""))),
            entry_point=_texts(config.get("Entrypoint")),
            command=_texts(config.get("Cmd")),
            working_directory=str(config.get("WorkingDir") or "/"),
            environment=dict(
                line.partition("=")[::2] for line in _texts(config.get("Env")) if line[:1] not in ("", "=")
            ),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise ImageUnfit("the container engine tells nothing of the image that can be understood") from None
    if "\\u0000" in json.dumps(config):
        raise ImageUnfit("its configuration has characters that no program can be given")
    if found.get("Os", "linux") != "linux":
        raise ImageUnfit(f"an image of {found['Os']} cannot be run")
    if not re.fullmatch("[0-9a-f]{64}", digest) or not re.fullmatch("[0-9a-f]{64}", image_id):
        raise ImageUnfit("the container engine tells no digest of the image")
    if image.size > limits.IMAGE_BYTES_MAX:
        raise ImageUnfit(f"it is larger than {limits.IMAGE_BYTES_MAX} bytes")
    if len(json.dumps(config)) > limits.IMAGE_CONFIG_BYTES_MAX:
        raise ImageUnfit(f"its configuration is larger than {limits.IMAGE_CONFIG_BYTES_MAX} bytes")
    return image


def repository_of(uri: str) -> str:
    """Return an image's name without tag and digest."""
    return _SUFFIX.sub("", uri, count=1) if "/" not in uri.rpartition(":")[2] else uri.partition("@")[0]


def _digest_of(uri: str, found: dict[str, Any]) -> str:
    """Return the digest of the image's manifest: as the name's repository has it, else any; empty if there is none."""
    known = [text for text in found.get("RepoDigests") or () if "@sha256:" in text]
    own = [text for text in known if text.partition("@")[0] == repository_of(uri)]
    told = str(found.get("Digest") or "") or next(iter(own or known), "")
    return told.rpartition("sha256:")[2]


def _is_tagged(name: str, found: dict[str, Any]) -> bool:
    return any(repository_of(str(tag)).rpartition("/")[2] == name for tag in found.get("RepoTags") or ())


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values or ())


async def export(engine: str, image_id: str, take: Callable[[int], None]) -> None:
    """Have `take`, in a thread, read an image's files as one tar from a descriptor, and close that.

    Raises EngineError if it did not get all of them, or whatever `take` raises.
    """
    # The command is never run; but without one some images could not become a container.
    made = await _run(engine, "create", "--pull=never", f"--label={LABEL}={os.getpid()}", image_id, "/nothing")
    container = made.decode().split()[-1]
    try:
        await _export(engine, container, take)
    finally:
        with contextlib.suppress(EngineError):
            await _remove(engine, container)


async def _remove(engine: str, container: str) -> None:
    """Remove a container, with the volumes that were made for it because its image names some."""
    await _run(engine, "rm", "--force", "--volumes", container)


async def _export(engine: str, container: str, take: Callable[[int], None]) -> None:
    reading, writing = os.pipe()
    try:
        process = await _start(engine, "export", container, stdout=writing)
    except EngineError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    talking = asyncio.ensure_future(process.communicate())
    taking = asyncio.ensure_future(asyncio.to_thread(take, reading))
    try:
        await asyncio.wait({taking}, timeout=limits.EXPORT_TIMEOUT_S)
        is_late = not taking.done()
        if not is_late and taking.exception() is None:
            await asyncio.wait({talking}, timeout=limits.ENGINE_TIMEOUT_S)
    finally:
        _kill(process)  # which ends what the thread reads
        await asyncio.wait({taking, talking})
    if is_late:
        raise EngineError(f"{Path(engine).name} export takes longer than {limits.EXPORT_TIMEOUT_S:.0f} seconds")
    await taking
    if process.returncode != 0:
        raise _failed(engine, talking.result()[1])


async def sweep() -> None:
    """Remove the containers that servers have left behind which were killed."""
    for engine in find_engines():
        with contextlib.suppress(EngineError):
            told = await _run(engine, "ps", "--all", f"--filter=label={LABEL}", "--format={{.ID}} {{.Labels}}")
            for line in told.decode().splitlines():
                container, _, labels = line.partition(" ")
                owner = re.search(rf"{re.escape(LABEL)}[:=](\d+)", labels)
                if owner is not None and not Path(f"/proc/{owner[1]}").exists():
                    await _remove(engine, container)


async def _run(engine: str, *arguments: str) -> bytes:
    """Return what a command of an engine prints. Raises EngineError if it fails or takes too long."""
    process = await _start(engine, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(limits.ENGINE_TIMEOUT_S):
            told, said = await process.communicate()
    except TimeoutError:
        raise EngineError(f"{Path(engine).name} {arguments[0]} does not end") from None
    finally:
        _kill(process)
        await process.wait()
    if process.returncode != 0:
        raise _failed(engine, said)
    return told


async def _start(engine: str, *arguments: str, stdout: int) -> asyncio.subprocess.Process:
    null, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    try:
        return await asyncio.create_subprocess_exec(
            engine, *arguments, stdin=null, stdout=stdout, stderr=pipe, cwd="/", start_new_session=True
        )
    except OSError as refused:
        raise EngineError(f"{Path(engine).name} cannot be started: {refused}") from None


def _kill(process: asyncio.subprocess.Process) -> None:
    """End a command that has not ended, with what it has started."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _failed(engine: str, said: bytes) -> EngineError:
    words = " ".join(said.decode(errors="replace").split())[-limits.ENGINE_WORDS_CHARS_MAX :]
    known = words.lower()
    kind = EngineError
    if any(mark in known for mark in _ABSENT):
        kind = ImageAbsent
    elif any(mark in known for mark in _DENIED):
        kind = ImageDenied
    return kind(f"{Path(engine).name}: {words or 'it fails and does not say why'}")
