"""Bytecode beside unpacked code: an environment need not compile what it imports, as each would do anew.

It is made once for each archive (or layers) and Python version, in a process that takes only the time that nobody else
wants (`sandbox/compiler.py`), while the first environment still compiles for itself. It lies in a folder named by the
digest of what was compiled, written under another name and renamed when it is whole; functions see it read-only, like
their code: so it is never stale, and no function has written what another one runs. It goes with the code.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.code import CodeCache, bytecode_of, draft_of

_log = logging.getLogger(__name__)

COMPILER = Path(__file__).parent / "sandbox" / "compiler.py"


class Bytecode:
    """What there is, and what is being made."""

    def __init__(self, code: CodeCache) -> None:
        self._code = code
        self._settled: set[str] = set()
        """By the folders' names, what will not be made: there is too little to compile, or it failed."""
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()

    def find(self, folders: Iterable[Path | None], version: str) -> dict[Path, Path]:
        """Return the bytecode of folders of code for this version of Python, as far as it is there."""
        found = {folder: bytecode_of(folder, version) for folder in folders if folder is not None}
        return {folder: bytecode for folder, bytecode in found.items() if bytecode.is_dir()}

    def make_soon(self, places: Iterable[tuple[Path | None, str]], version: str, executable: str) -> None:
        """Have made what is not there by the interpreter of this version; `places` tell as what folders are seen."""
        for code, seen_as in places:
            if code is None or code in self.find([code], version):
                continue
            target = bytecode_of(code, version)
            if target.name not in self._settled and target.name not in self._under_way:
                making = asyncio.get_running_loop().create_task(self._make(code, target, executable, seen_as))
                self._under_way[target.name] = making
                making.add_done_callback(partial(self._forget, target.name))

    def _forget(self, name: str, made: asyncio.Task[None]) -> None:
        del self._under_way[name]

    async def _make(self, code: Path, target: Path, executable: str, seen_as: str) -> None:
        async with self._turn:
            draft = draft_of(target)
            try:
                if not self._code.leaves_disk():
                    return
                if not await asyncio.to_thread(is_worth_compiling, code):
                    self._settled.add(target.name)
                    return
                await self._code.look_through()
                await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)
                arguments = (str(COMPILER), str(code), str(draft), seen_as, str(os.getpid()))
                status, said = await _run(executable, "-I", "-S", *arguments)
                if status == 0 and code.is_dir():
                    draft.rename(target)
                    await self._code.measure_again(code.name)
                    return
            except OSError as refused:
                status, said = 1, str(refused)
            if code.is_dir():  # else its place was needed meanwhile
                # Such as a full disk. What imports it compiles it, as it has always done.
                self._settled.add(target.name)
                _log.warning("no bytecode was made of %s: status=%s: %s", code, status, said)
            await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)

    async def close(self) -> None:
        """Make no more; what is half done the next server removes."""
        for making in list(self._under_way.values()):
            making.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)


async def _run(*command: str) -> tuple[int, str]:
    """Return a program's status and the end of what it complained of; it does not outlive whoever waits for it."""
    environ = {"PATH": os.defpath, "LANG": "C.UTF-8"}
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, stdin=null, stdout=null, stderr=pipe, env=environ, cwd="/", start_new_session=True
    )
    try:
        said = (await process.communicate())[1]
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")[-500:].strip()


def is_worth_compiling(code: Path) -> bool:
    """Tell whether there is so much Python below a folder that importing it would show."""
    left = limits.BYTECODE_SOURCE_BYTES_MIN
    for parent, _, names in os.walk(code):
        for name in names:
            if name.endswith(".py"):
                left -= Path(parent, name).lstat().st_size
                if left <= 0:
                    return True
    return False
