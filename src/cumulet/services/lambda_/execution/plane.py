"""The execution plane's face: an invocation goes in, its result comes out. All else in this folder is behind it."""

from typing import Protocol

from cumulet.scope import Scope
from cumulet.services.lambda_.records import ImageUse, Invocation, InvocationResult, VersionRecord


class FunctionChanged(Exception):
    """The function was changed or deleted, and its code with it, before the invocation could begin: look again."""


class ExecutionPlane(Protocol):
    """Runs functions. Owns environments, processes and their logs; owns no records."""

    async def start(self) -> None:
        """Begin; returns at once, whatever is warmed behind it."""
        ...

    async def stop(self) -> None:
        """Let running invocations end (bounded), then leave no process behind."""
        ...

    def prepare(self, version: VersionRecord) -> None:
        """Begin to make ready what environments of a version start from; a hint that returns at once."""
        ...

    async def interpreter_of(self, runtime: str) -> str:
        """Return the version of what runs a runtime here, e.g. 3.12.1. Raises NotImplementedHere if nothing does."""
        ...

    async def find_image(self, uri: str) -> ImageUse:
        """Return the container image of that name. Raises ServiceError, or NotImplementedHere where none can run."""
        ...

    async def unpack_image(self, image: ImageUse, patience_s: float | None) -> bool:
        """Tell whether an image is unpacked within that time; None waits for as long as it takes. Raises ServiceError.

        It goes on being unpacked, whatever becomes of whoever waits.
        """
        ...

    async def invoke(self, scope: Scope, version: VersionRecord, invocation: Invocation) -> InvocationResult:
        """Return the invocation's result.

        Raises ServiceError for what AWS answers instead of a result: TooManyRequestsException, InvalidZipFileException,
        CodeArtifactUserFailedException... A failing handler is a result, not an error. Raises FunctionChanged if
        `version` is no longer there to be run.
        """
        ...
