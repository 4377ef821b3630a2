"""The fork servers of this machine: one for each interpreter, started when a runtime first asks for it."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

from cumulet.errors import ServiceError
from cumulet.services.lambda_.execution.sandbox.interpreters import Interpreter, own_interpreter
from cumulet.services.lambda_.execution.sandbox.programs import Libraries, Program, ask_python, find_program
from cumulet.services.lambda_.execution.sandbox.zygote import Zygote

_log = logging.getLogger(__name__)


class ForkServers:
    """By runtime, what its environments are forked from."""

    def __init__(self, folder: Path, code_folder: Path, libraries: Libraries) -> None:
        self._folder = folder
        self._code_folder = code_folder
        self._libraries = libraries
        self._programs: dict[str, Program] = {}
        self._zygotes: dict[str, asyncio.Future[Zygote]] = {}
        self._versions: dict[str, str] = {}
        """By executable, of Pythons."""

    async def find(self, runtime: str) -> tuple[Program, Zygote]:
        """Return what runs a runtime, and the fork server from which it starts. Raises ServiceError."""
        program = await self._program_of(runtime)
        try:
            return program, await self._zygote_of(program.interpreter)
        except (OSError, TimeoutError) as failure:
            own = own_interpreter()
            if program.interpreter == own:
                raise ServiceError("ServiceException", f"No Python can be started: {failure}", status=500) from failure
            _log.warning(
                "%s cannot run functions (%s): those of %s run on the server's own interpreter",
                program.interpreter.executable,
                failure,
                runtime,
            )
            program = self._programs[runtime] = replace(program, interpreter=own)
            return program, await self._zygote_of(own)

    async def version_of(self, runtime: str) -> str:
        """Return the version of what runs a runtime, as the log of an environment will tell it; nothing is started.

        Raises NotImplementedHere if nothing runs it.
        """
        program = await self._program_of(runtime)
        if program.version:
            return program.version
        executable = program.interpreter.executable
        if executable not in self._versions:
            self._versions[executable] = await asyncio.to_thread(ask_python, executable)
        return self._versions[executable]

    async def _program_of(self, runtime: str) -> Program:
        program = self._programs.get(runtime)
        if program is None:
            program = self._programs[runtime] = await asyncio.to_thread(find_program, runtime)
        return program

    async def _zygote_of(self, interpreter: Interpreter) -> Zygote:
        key = interpreter.executable
        starting = self._zygotes.get(key)
        if starting is None:
            starting = self._zygotes[key] = asyncio.ensure_future(self._start_zygote(interpreter))
        try:
            return await asyncio.shield(starting)
        except OSError:
            self._zygotes.pop(key, None)
            raise

    async def _start_zygote(self, interpreter: Interpreter) -> Zygote:
        self._code_folder.mkdir(parents=True, exist_ok=True)
        zygote = Zygote(
            interpreter,
            self._folder / Path(interpreter.executable).name,
            self._code_folder,
            self._libraries,
        )
        await zygote.start(lambda: self._zygote_lost(interpreter))
        return zygote

    def _zygote_lost(self, interpreter: Interpreter) -> None:
        _log.error("the fork server of %s has ended; the next invocation starts another", interpreter.executable)
        self._zygotes.pop(interpreter.executable, None)

    async def close(self) -> None:
        """End them all, with everything that they have forked."""
        for starting in list(self._zygotes.values()):
            await (await starting).close()
        self._zygotes.clear()
