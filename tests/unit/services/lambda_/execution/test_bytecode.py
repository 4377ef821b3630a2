"""Bytecode made ahead: it is what environments run, changes nothing that they could notice, and is never another's."""

import asyncio
import errno
import importlib.util
import io
import json
import os
import py_compile
import select
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from cumulet.clock import SystemClock
from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.bytecode import COMPILER, Bytecode, is_worth_compiling
from cumulet.services.lambda_.execution.code import CodeCache, bytecode_of, draft_of, look_through
from cumulet.services.lambda_.records import LayerUse
from cumulet.store import blobs
from cumulet.store.memory import MemoryStore
from harness import make_ground

VERSION = ".".join(map(str, sys.version_info[:3]))
TAG = sys.implementation.cache_tag
OWN = f"python3.{sys.version_info.minor}"
PADDING = "# as long as a module is for which it is worth it\n" * 100


# What the compiler makes


def compile_all(files: dict[str, str], folder: Path) -> tuple[int, Path]:
    """Return the status of the compiler, and what it made of these files."""
    for name, text in files.items():
        path = folder / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run(
        [sys.executable, "-I", "-S", COMPILER, folder / "code", folder / "made", "/var/task", str(os.getpid())],
        check=False,
        timeout=60,
    )
    return done.returncode, folder / "made"


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_each_module_gets_bytecode_as_if_beside_it(tmp_path: Path) -> None:
    files = {
        "app.py": "x = 1\n",
        "lib/core.py": "y = 2\n",
        "lib/tests/test_core.py": "z = 3\n",
        "lib/data.txt": "no code",
        "old/python2.py": "print 'no'\n",
        "zero.py": "x = '\0'\n",
    }
    status, made = compile_all(files, tmp_path)
    assert (status, listing(made)) == (0, [f"__pycache__/app.{TAG}.pyc", f"lib/__pycache__/core.{TAG}.pyc"])
    assert {path.stat().st_mode & 0o777 for path in made.rglob("*")} == {0o755, 0o644}
    assert listing(tmp_path / "code") == sorted(files)


def test_what_is_compiled_with_a_warning_is_left_to_warn(tmp_path: Path) -> None:
    status, made = compile_all({"app.py": "x = 7\nprint(x is 7)\n", "other.py": ""}, tmp_path)
    assert (status, listing(made)) == (0, [f"__pycache__/other.{TAG}.pyc"])


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.py").write_text("")
    (tmp_path / "code" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "code" / "file.py").symlink_to(tmp_path / "outside" / "secret.py")
    assert compile_all({"app.py": ""}, tmp_path)[1].is_dir()
    assert listing(tmp_path / "made") == [f"__pycache__/app.{TAG}.pyc"]


def test_it_fails_rather_than_make_half(tmp_path: Path) -> None:
    (tmp_path / "made").write_text("in the way, as a full disk is")
    assert compile_all({"app.py": ""}, tmp_path)[0] != 0


@pytest.mark.slow
def test_it_does_not_outlive_who_started_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless.py")  # whoever reads it waits
    command = [sys.executable, "-I", "-S", str(COMPILER), str(tmp_path), str(tmp_path / "made"), "/var/task"]
    starter = (
        "import os, subprocess, time\n"
        f"print(subprocess.Popen([*{command!r}, str(os.getpid())]).pid, flush=True)\n"
        "time.sleep(200)\n"
    )
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        compiler = int(parent.stdout.readline())
        while not (tmp_path / "made").exists():
            assert parent.poll() is None
            time.sleep(0.01)  # real time: the compiler has what nobody else wants of the processors
        gone = os.pidfd_open(compiler)
        parent.send_signal(signal.SIGKILL)
        assert select.select([gone], [], [], 30)[0]
        os.close(gone)


@pytest.mark.parametrize(
    ("files", "is_worth"),
    [
        ({"app.py": "x = 1\n"}, False),
        ({"app.js": PADDING}, False),
        ({"app.py": PADDING}, True),
        ({f"lib/m{n}.py": PADDING[:500] for n in range(9)}, True),
    ],
)
def test_little_python_is_left_alone(tmp_path: Path, files: dict[str, str], is_worth: bool) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert is_worth_compiling(tmp_path) is is_worth


# What becomes of it on disk


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):  # the compiler has the time that nobody else wants
        while not condition():
            await asyncio.sleep(0.01)


class Shelf:
    """A code cache, and bytecode beside it."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryStore()
        self.folder = folder
        self.used: set[str] = set()
        self.code = CodeCache(make_ground(self.store, SystemClock(), None, folder), folder, lambda: self.used)
        self.bytecode = Bytecode(self.code)

    async def unpack(self, text: str) -> Path:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as opened:
            opened.writestr("app.py", text + PADDING)
        return await self.code.ensure(await self.store.write(lambda tx: blobs.save(tx, packed.getvalue())))

    async def compile(self, code: Path, executable: str = sys.executable) -> bool:
        """Tell whether there is bytecode once nothing more is made."""
        self.bytecode.make_soon([(code, "/var/task"), (None, "/opt")], VERSION, executable)
        await asyncio.gather(*self.bytecode._under_way.values())
        return self.bytecode.find([code, None], VERSION) == {code: bytecode_of(code, VERSION)}


@pytest.mark.slow
async def test_it_lies_beside_the_code_counts_with_it_and_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    code = await shelf.unpack("x = 1\n")
    alone = shelf.code._sizes[code.name]  # type: ignore[index]
    assert await shelf.compile(code)
    assert listing(tmp_path) == [f"{code.name}.{VERSION}.pyc/__pycache__/app.{TAG}.pyc", f"{code.name}/app.py"]
    both = look_through(tmp_path)
    assert both == shelf.code._sizes
    assert both[code.name] > alone
    monkeypatch.setattr(limits, "CODE_CACHE_BYTES_MAX", 1)
    other = await shelf.unpack("x = 2\n")
    assert listing(tmp_path) == [f"{other.name}/app.py"]
    code = await shelf.unpack("x = 1\n")
    assert await shelf.compile(code)  # as often as the code comes back


async def test_what_a_killed_server_left_half_made_is_not_used_and_goes(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    code = await shelf.unpack("x = 1\n")
    target = bytecode_of(code, VERSION)
    for left in (draft_of(target), bytecode_of(tmp_path / ("0" * 64), VERSION)):
        left.mkdir()
        (left / "half.pyc").write_bytes(b"")
    assert shelf.bytecode.find([code], VERSION) == {}
    assert list(look_through(tmp_path)) == [code.name]
    assert listing(tmp_path) == [f"{code.name}/app.py"]


async def test_what_is_being_made_is_not_taken_for_a_leftover(tmp_path: Path) -> None:
    code = await Shelf(tmp_path / "code").unpack("x = 1\n")
    shelf = Shelf(tmp_path / "code")  # as after a new start: nothing was counted yet
    patient = tmp_path / "patient"
    patient.write_text(f"#!/bin/sh\nmkdir $5; until [ -e {tmp_path}/seen ]; do sleep 0.01; done\n")
    patient.chmod(0o755)
    making = asyncio.ensure_future(shelf.compile(code, str(patient)))
    await until(draft_of(bytecode_of(code, VERSION)).is_dir)
    await shelf.unpack("y = 1\n")
    (tmp_path / "seen").touch()
    assert await making


async def test_code_that_goes_while_it_is_compiled_is_forgotten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Shelf(tmp_path)
    code = await shelf.unpack("x = 1\n")
    shutil.rmtree(code)
    assert not await shelf.compile(code)
    assert not caplog.records
    code = await shelf.unpack("x = 1\n")
    taken = tmp_path / "taken"
    taken.write_text(f"#!/bin/sh\nexec mv '{code}' '{code}.doomed'\n")
    taken.chmod(0o755)
    assert not await shelf.compile(code, str(taken))
    assert not caplog.records


async def test_where_none_can_be_made_it_is_tried_once_and_the_code_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Shelf(tmp_path)
    code = await shelf.unpack("x = 1\n")
    for executable in ("/bin/false", "/bin/false", "/no/such/python"):
        assert not await shelf.compile(code, executable)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert listing(tmp_path) == [f"{code.name}/app.py"]
    other = await shelf.unpack("x = 2\n")
    assert not await shelf.compile(other, "/no/such/python")
    assert "No such file" in caplog.records[1].getMessage()


@pytest.mark.slow
async def test_the_last_of_a_disk_is_left_to_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(tmp_path)
    with monkeypatch.context() as nearly_full:
        nearly_full.setattr(limits, "AHEAD_DISK_BYTES_MIN", 1 << 60)
        assert not await shelf.code.has_room(0)
        code = await shelf.unpack("x = 1\n")  # which somebody waits for
        assert not await shelf.compile(code)
    assert await shelf.code.has_room(0)
    assert await shelf.compile(code)


@pytest.mark.slow
async def test_one_is_made_at_a_time_and_none_when_the_server_has_stopped(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    folders = [await shelf.unpack(f"x = {n}\n") for n in range(3)]
    endless = tmp_path / "endless"
    endless.write_text("#!/bin/sh\necho $$ >> %s\nexec sleep 60\n" % (tmp_path / "pids"))
    endless.chmod(0o755)
    shelf.bytecode.make_soon([(folder, "/var/task") for folder in folders], VERSION, str(endless))
    shelf.bytecode.make_soon([(folder, "/var/task") for folder in folders], VERSION, str(endless))
    async with asyncio.timeout(60):
        while not (tmp_path / "pids").exists() or not (tmp_path / "pids").read_text().endswith("\n"):
            await asyncio.sleep(0.005)
    await shelf.bytecode.close()
    assert not shelf.bytecode._under_way
    (pid,) = (tmp_path / "pids").read_text().split()
    assert not Path("/proc", pid).exists()


# What environments have of it

CODE = """
import inspect, sys, traceback
import lent, shipped, helper
def lambda_handler(event, context):
    try:
        helper.fail()
    except ValueError as failure:
        trace = traceback.format_exception(failure)[-3:]
    spec = helper.__spec__
    return {
        "word": [helper.word, shipped.word, lent.word],
        "paths": [helper.__file__, helper.__cached__, spec.origin, spec.cached, lent.__file__],
        "source": inspect.getsource(helper.fail),
        "loader": [isinstance(spec.loader, importlib.machinery.SourceFileLoader), spec.loader.get_filename()],
        "trace": "".join(trace),
        "prefix": sys.pycache_prefix,
        "listing": sorted(os.listdir(os.environ["LAMBDA_TASK_ROOT"])),
        "data": importlib.resources.files("package").joinpath("data.txt").read_text(),
    }
import importlib.machinery, importlib.resources, os, package
"""
HELPER = "word = 'source'\ndef fail():\n    raise ValueError('no')\n"


def unchecked(text: str, folder: Path) -> bytes:
    """Return bytecode that is valid whatever the source beside it says."""
    (folder / "source.py").write_text(text)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(folder / "source.py"), str(folder / "made"), doraise=True, invalidation_mode=mode)
    return (folder / "made").read_bytes()


async def publish(rig: Any, tmp_path: Path, code: str = CODE, **fields: Any) -> Any:
    """Return a function that ships bytecode of its own for one module, above a layer."""
    archives = [{"python/lent.py": f"word = 'layer'  # of {tmp_path}\n" + PADDING}]
    archives.append(
        {
            "lambda_function.py": code + PADDING,
            "helper.py": HELPER + PADDING,
            "shipped.py": "word = 'source'\n",
            f"__pycache__/shipped.{TAG}.pyc": unchecked("word = 'shipped'\n", tmp_path),  # type: ignore[dict-item]
            "package/__init__.py": "",
            "package/data.txt": "data",
        }
    )
    packed = [rig.make_archive(files) for files in archives]
    layer, digest = [await rig.store.write(lambda tx, one=one: blobs.save(tx, one)) for one in packed]
    version = await rig.function("", runtime=OWN, timeout_s=20, **fields)
    use = LayerUse("arn:aws:lambda:eu-west-1:123456789012:layer:l:1", len(packed[0]), 1, layer)
    return msgspec.structs.replace(version, code_blob=digest, layers=(use,))


async def again(rig: Any, version: Any, number: int) -> Any:
    """Return what an environment of its own answers."""
    one = msgspec.structs.replace(version, version=f"{number}")
    return json.loads((await rig.invoke(one)).payload)


def folders(rig: Any, version: Any) -> list[Path]:
    """Return where bytecode of a function and of its layer is, or comes to be."""
    root = rig.plane._supervisor._code.folder
    return [bytecode_of(root / digest, VERSION) for digest in (version.code_blob, version.layers[0].code_blob)]


async def has_walls(rig: Any) -> bool:
    _, found = await rig.plane._supervisor._fork_servers.find(OWN)
    return bool(found.isolated)


def plant(folder: Path, module: str, text: str, tmp_path: Path) -> None:
    """Have bytecode say what the source does not, so that it shows which of them ran."""
    (found,) = folder.rglob(f"{module}.{TAG}.pyc")
    found.write_bytes(unchecked(text, tmp_path))


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["walls", "none"])
async def place(rig: Any, request: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """A plane whose functions have walls, if the machine permits them, and one whose have none."""
    if request.param == "walls":
        yield rig
        return
    async with type(rig).without_walls(tmp_path_factory.mktemp("plain")) as plain:
        yield plain


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_an_environment_runs_what_was_made_ahead_and_notices_nothing(place: Any, tmp_path: Path) -> None:
    version = await publish(place, tmp_path)
    first = await again(place, version, 1)
    assert first["word"] == ["source", "shipped", "layer"]
    of_code, of_layer = folders(place, version)
    await until(lambda: of_code.is_dir() and of_layer.is_dir())
    assert await again(place, version, 2) == first
    plant(of_code, "helper", HELPER.replace("source", "ahead"), tmp_path)
    plant(of_layer, "lent", "word = 'ahead of the layer'\n", tmp_path)
    third = await again(place, version, 3)
    assert third.pop("word") == ["ahead", "shipped", "ahead of the layer"]
    del first["word"]
    assert third == first
    assert first["paths"][1] == importlib.util.cache_from_source(first["paths"][0])
    assert "__pycache__" in first["listing"]  # the function's own, of one file
    assert 'helper.py", line 3, in fail' in first["trace"]


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_nobody_writes_what_others_run(rig: Any, tmp_path: Path) -> None:
    if not await has_walls(rig):
        pytest.skip("needs namespaces")
    code = """
import os, py_compile
def lambda_handler(event, context):
    seen, refused = [], []
    for parent, _, names in os.walk("/var/.bytecode"):
        for name in names:
            seen.append(os.path.join(parent, name))
            try:
                open(seen[-1], "ab").close()
            except OSError as error:
                refused.append(error.errno)
    open("/tmp/own.py", "w").close()
    return [sorted(seen), sorted(set(refused)), py_compile.compile("/tmp/own.py")]
"""
    version = await publish(rig, tmp_path, code)
    await again(rig, version, 1)
    await until(lambda: all(folder.is_dir() for folder in folders(rig, version)))
    seen, refused, own = await again(rig, version, 2)
    names = ("helper", "lambda_function", "package/__init__")
    expected = [f"/var/.bytecode/var/task/{importlib.util.cache_from_source(name + '.py')}" for name in names]
    expected.append(f"/var/.bytecode/opt/python/{importlib.util.cache_from_source('lent.py')}")
    assert (seen, own) == (sorted(expected), f"/tmp/__pycache__/own.{TAG}.pyc")
    assert set(refused) <= {errno.EACCES, errno.EROFS}
    assert len(refused) >= 1


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_what_a_wrapper_starts_has_it_too(rig: Any, tmp_path: Path) -> None:
    wrapper = '#!/bin/bash\nargs=("$@")\nexec "${args[@]:0:$#-1}" -X faulthandler "${args[@]: -1}"\n'
    version = await rig.function(
        "import helper\ndef lambda_handler(event, context): return helper.word\n",
        files={"helper.py": HELPER + PADDING, "wrap": wrapper},
        executable=("wrap",),
        runtime=OWN,
        timeout_s=20,
        memory_mb=512,
        environment={"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrap"},
    )
    assert await again(rig, version, 1) == "source"
    made = bytecode_of(rig.plane._supervisor._code.folder / version.code_blob, VERSION)
    await until(made.is_dir)
    if not await has_walls(rig):
        pytest.skip("without walls they compile for themselves")
    plant(made, "helper", "word = 'ahead'\n", tmp_path)
    assert await again(rig, version, 2) == "ahead"


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_code_that_was_deployed_is_ready_before_it_is_invoked(
    rig: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = await publish(rig, tmp_path)
    rig.plane.prepare(version)
    await until(lambda: all(folder.is_dir() for folder in folders(rig, version)))
    assert (await again(rig, version, 1))["word"] == ["source", "shipped", "layer"]
    # Where it would take the place of other code, is not there or cannot be run, it is left alone.
    full = await publish(rig, tmp_path, CODE + "# another\n")
    with monkeypatch.context() as full_disk:
        full_disk.setattr(limits, "CODE_CACHE_BYTES_MAX", 1)
        rig.plane.prepare(full)
        await asyncio.gather(*rig.plane._supervisor._tasks)
    rig.plane.prepare(msgspec.structs.replace(full, code_blob="0" * 64))
    rig.plane.prepare(msgspec.structs.replace(full, runtime="cobol85"))
    await asyncio.gather(*rig.plane._supervisor._tasks)
    assert not list(rig.plane._supervisor._code.folder.glob(full.code_blob + "*"))
