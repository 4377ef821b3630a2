"""Container images as functions have them: which one a name stands for, and its files on disk.

An image is unpacked once, into the code cache, under the digest of its manifest; from then on no engine is needed. What
becomes of that is the state of the functions made of it: Pending while CreateFunction did not want to wait any longer,
Failed when an engine has the image no more and it is not unpacked here. An invocation looks again.
"""

import asyncio
import logging
import os
import shutil
from functools import partial
from pathlib import Path

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Ground
from cumulet.services.lambda_.execution.code import CodeCache, draft_of
from cumulet.services.lambda_.execution.images import engine
from cumulet.services.lambda_.execution.images.engine import EngineError, ImageAbsent, ImageDenied, ImageUnfit
from cumulet.services.lambda_.execution.images.start import check_walls
from cumulet.services.lambda_.execution.images.tree import unpack_tree
from cumulet.services.lambda_.execution.sandbox.fork_servers import ForkServers
from cumulet.services.lambda_.records import FUNCTIONS, STATE_FIELDS, VERSIONS, ImageUse, VersionRecord
from cumulet.store.api import WriteTx

_log = logging.getLogger(__name__)

_STATE_CODES: dict[type[EngineError], str] = {
    ImageAbsent: "ImageDeleted",
    ImageDenied: "ImageAccessDenied",
    ImageUnfit: "InvalidImage",
}
"""Why a function has failed, in the model's words."""


class Images:
    """The images of this machine's container engines, and what of them is unpacked."""

    def __init__(self, ground: Ground, code: CodeCache, fork_servers: ForkServers) -> None:
        self._ground = ground
        self._code = code
        self._fork_servers = fork_servers
        self._has_swept = False

    async def find(self, uri: str) -> ImageUse:
        """Return the image of that name. Raises AWS's errors, or NotImplementedHere where no image can run."""
        if not engine.find_engines():
            raise NotImplementedHere(
                "PackageType Image on a machine without a container engine (podman or docker, on the server's PATH)"
            )
        check_walls((await self._fork_servers.find(""))[1])
        if not engine.is_reference(uri):
            raise _invalid(f"Source image {uri} is not valid. Provide a valid source image.")
        try:
            return (await engine.inspect(uri))[1]
        except EngineError as refused:
            if type(refused) is EngineError:
                raise NotImplementedHere(f"PackageType Image while no container engine answers ({refused})") from None
            raise _refusal(uri, refused) from None

    async def unpack(self, image: ImageUse, patience_s: float | None) -> bool:
        """Tell whether the image is unpacked within that time; it goes on being unpacked. Raises AWS's errors."""
        unpacking = asyncio.ensure_future(self._ensure(image))
        try:
            await asyncio.wait({unpacking}, timeout=patience_s)
        finally:
            if not unpacking.done():
                unpacking.add_done_callback(_look_at)
        if not unpacking.done():
            return False
        try:
            await unpacking
        except EngineError as refused:
            raise _refusal(image.uri, refused) from None
        return True

    async def ensure_for(self, version: VersionRecord) -> Path:
        """Return the folder that the root of a version's environments is, and record what became of its image.

        Raises ServiceError, as an invocation gets it.
        """
        assert version.image is not None
        try:
            folder = await self._ensure(version.image)
        except EngineError as refused:
            words = f"The image {version.image.resolved_uri} cannot be unpacked: {refused.words}"
            # An engine that fails says nothing of the image; but who waits for a new function is to know.
            code = _STATE_CODES.get(type(refused), "InternalError" if version.state == "Pending" else "")
            if code:
                await self._settle(version, version.image.digest, ("Failed", words, code))
            # https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-images.html has the code, and its status.
            raise ServiceError("CodeArtifactUserFailedException", words, status=409, Type="User") from None
        if version.state:
            await self._settle(version, version.image.digest, ("", "", ""))
        return folder

    async def _settle(self, version: VersionRecord, digest: str, state: tuple[str, str, str]) -> None:
        """Record the state of all versions of a function that are made of an image."""
        _, _, _, region, account, *_ = version.arn.split(":")
        scope, name = Scope(account, region), version.function_name
        fields = dict(zip(STATE_FIELDS, state, strict=True))

        def concerns(other: VersionRecord) -> bool:
            present = tuple(getattr(other, field) for field in STATE_FIELDS)
            return other.image is not None and other.image.digest == digest and present != state

        def record(tx: WriteTx) -> None:
            function = FUNCTIONS.find(tx, scope, name)
            if function is not None and concerns(function.latest):
                latest = msgspec.structs.replace(function.latest, **fields)
                FUNCTIONS.save(tx, scope, name, record=msgspec.structs.replace(function, latest=latest))
            for other in [other for other in VERSIONS.scan(tx, scope, name) if concerns(other)]:
                VERSIONS.save(tx, scope, name, int(other.version), record=msgspec.structs.replace(other, **fields))

        await self._ground.store.write(record)

    async def _ensure(self, image: ImageUse) -> Path:
        return await self._code.ensure_made(image.digest, partial(self._unpack, image))

    async def _unpack(self, image: ImageUse, target: Path) -> None:
        # What the name stands for may be another image by now.
        path, found = await engine.inspect(image.uri, image.image_id, image.resolved_uri)
        if not self._code.leaves_disk(image.size):
            raise EngineError(f"its {image.size} bytes do not fit on the disk")
        draft = draft_of(target)
        await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)
        draft.mkdir(parents=True)
        try:
            await engine.export(path, found.image_id, partial(_take, draft, image.working_directory))
            draft.rename(target)
        except (EngineError, OSError) as failed:
            await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)
            if target.exists():
                return  # another process was first
            raise failed if isinstance(failed, EngineError) else EngineError(str(failed)) from None
        if not self._has_swept:
            self._has_swept = True
            await engine.sweep()


def _take(folder: Path, working_directory: str, source: int) -> None:
    with os.fdopen(source, "rb") as opened:
        unpack_tree(opened, folder, working_directory)


def _refusal(uri: str, refused: EngineError) -> ServiceError:
    """Return what AWS answers to somebody who deploys such an image."""
    if isinstance(refused, ImageAbsent):
        return _invalid(f"Source image {uri} does not exist. Provide a valid source image.")
    if isinstance(refused, ImageUnfit):
        supported = f"The image manifest, config or layer media type for the source image {uri} is not supported."
        return _invalid(f"{supported} {refused.words}")
    if isinstance(refused, ImageDenied):
        return ServiceError(
            "AccessDeniedException",
            f"Lambda does not have permission to access the ECR image. Check the ECR permissions. {refused.words}",
            status=403,
        )
    return ServiceError("ServiceException", f"The image {uri} cannot be unpacked: {refused.words}", status=500)


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameterValueException", message, Type="User")


def _look_at(unpacked: "asyncio.Future[Path]") -> None:
    """What went wrong is told to whoever invokes: an invocation tries again."""
    if not unpacked.cancelled() and (failure := unpacked.exception()) is not None:
        _log.warning("an image could not be unpacked: %s", failure)
