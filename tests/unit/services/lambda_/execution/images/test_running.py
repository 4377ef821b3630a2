"""Functions from container images of a real engine: one unpacked filesystem, and environments that have it as root."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.lambda_.execution.images import engine
from cumulet.services.lambda_.execution.sandbox import zygote
from cumulet.services.lambda_.records import FUNCTIONS, VERSIONS, FunctionRecord, ImageConfig, ImageUse, VersionRecord
from podman import Engine
from podman import engine as offered

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

LINES = (
    "ENV PATH=/app:/bin LAMBDA_TASK_ROOT=/app AWS_REGION=nowhere OWN=image",
    'ENTRYPOINT ["run"]',
    'CMD ["app.handler", "more"]',
    "WORKDIR /home/work",
    "VOLUME /app/kept",
)


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with offered(tmp_path_factory.mktemp("engine")) as made:
        before = dict(os.environ)
        os.environ.update(made.environ)
        yield made
        os.environ.clear()
        os.environ.update(before)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def image(podman: Engine, rig: Any) -> ImageUse:
    files = {
        "app/run": podman.program,
        "app/words": "of the image",
        "opt/extensions/agent": podman.program,
    }
    digest = podman.build("cumulet-tests/one:1", *LINES, files=files)
    found: ImageUse = await rig.plane.find_image("cumulet-tests/one:1")
    assert found.digest == digest
    assert await rig.plane.unpack_image(found, None)
    return found


async def made_of(rig: Any, image: ImageUse, **fields: Any) -> VersionRecord:
    """Return a function that the store knows, too."""
    of_image = {"runtime": "", "handler": "", "code_blob": "", "code_size": 0, "image": image, "timeout_s": 10}
    version: VersionRecord = await rig.function("", **{**of_image, **fields})
    record = FunctionRecord(latest=version, code_url_secret=b"")
    await rig.store.write(lambda tx: FUNCTIONS.save(tx, rig.scope, version.function_name, record=record))
    return version


async def ask(rig: Any, version: VersionRecord, event: str) -> Any:
    return json.loads((await rig.invoke(version, json.dumps(event).encode())).payload)


async def test_an_image_is_what_the_engine_says(image: ImageUse) -> None:
    assert (image.entry_point, image.command) == (("run",), ("app.handler", "more"))
    assert image.working_directory == "/home/work"
    assert image.environment["OWN"] == "image"
    assert image.resolved_uri == f"cumulet-tests/one@sha256:{image.digest}"


async def test_its_program_runs_where_and_as_the_image_says(rig: Any, image: ImageUse) -> None:
    version = await made_of(rig, image, environment={"OWN": "function"})
    assert await ask(rig, version, "words") == "run app.handler more "
    assert await ask(rig, version, "place") == "/home/work"
    variables = {
        "PATH": "/app:/bin",
        "OWN": "function",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
        "AWS_EXECUTION_ENV": "AWS_Lambda_Image",
        "LAMBDA_TASK_ROOT": "/app",
        "_HANDLER": "app.handler",
        "LD_LIBRARY_PATH": "(none)",
    }
    assert {name: await ask(rig, version, f"variable {name}") for name in variables} == variables


async def test_it_sees_its_image_and_nothing_else(rig: Any, image: ImageUse, tmp_path: Path) -> None:
    version = await made_of(rig, image)
    assert sorted((await ask(rig, version, "list /")).split()) == ["app", "dev", "etc", "home", "opt", "proc", "tmp"]
    assert await ask(rig, version, "read /app/words") == "of the image"
    assert await ask(rig, version, f"list {tmp_path}") == "No such file or directory"
    assert "null" in await ask(rig, version, "list /dev")
    assert (await ask(rig, version, "read /dev/null")) == ""
    assert "localhost" in await ask(rig, version, "read /etc/hosts")
    # As process 1 the guard is seen, whose root and whose memory are not to be looked at.
    assert await ask(rig, version, "list /proc/1/root") == "Permission denied"
    assert " 1 2 " not in await ask(rig, version, "list /proc/1/task")
    for place in ("/app/words", "/app/new", "/etc/hosts", "/new", "/dev/new"):
        assert await ask(rig, version, f"write {place}") in ("Read-only file system", "Permission denied")


async def test_its_tmp_is_its_own_and_lasts(rig: Any, image: ImageUse) -> None:
    one, other = await made_of(rig, image), await made_of(rig, image)
    assert await ask(rig, one, "write /tmp/kept") == "written"
    assert await ask(rig, one, "list /tmp") == "kept "
    assert await ask(rig, other, "list /tmp") == ""


async def test_its_extensions_are_those_of_the_image(rig: Any, image: ImageUse) -> None:
    version = await made_of(rig, image)
    result = await rig.invoke(version, b'"words"')
    assert b"EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE]\n" in result.log_tail
    assert b"INIT_START" not in result.log_tail
    assert b"asked to words\n" in result.log_tail
    fork_server = (await rig.plane._supervisor._fork_servers.find(""))[1]
    root = Path(f"/proc/{fork_server._process.pid}/root")
    assert (root / ".hosts").is_file()
    assert not list(root.glob(".hosts-*"))


CONFIGURED = [
    ("a command", ImageConfig(command=("x", "y")), "words", "run x y "),
    (
        "an entry point",
        ImageConfig(entry_point=("/app/run", "z")),
        "words",
        "/app/run z app.handler more ",
    ),
    ("a place", ImageConfig(working_directory="/app"), "place", "/app"),
]


@pytest.mark.parametrize(
    ("config", "event", "told"), [row[1:] for row in CONFIGURED], ids=[row[0] for row in CONFIGURED]
)
async def test_a_function_may_say_otherwise(
    rig: Any, image: ImageUse, config: ImageConfig, event: str, told: str
) -> None:
    assert await ask(rig, await made_of(rig, image, image_config=config), event) == told


REFUSED = [
    (
        "a bare name that is not there",
        ImageConfig(entry_point=("walk",)),
        "Runtime.InvalidEntrypoint",
        'exec: "walk": executable file not found in $PATH',
    ),
    (
        "a path that is not there",
        ImageConfig(entry_point=("/app/walk",)),
        "Runtime.InvalidEntrypoint",
        "fork/exec /app/walk: no such file or directory",
    ),
    (
        "a path that no call takes",
        ImageConfig(entry_point=("/app/\0run",)),
        "Runtime.InvalidEntrypoint",
        "fork/exec /app/\0run: invalid argument",
    ),
    (
        "no program",
        ImageConfig(entry_point=("/app/words",)),
        "Runtime.InvalidEntrypoint",
        "fork/exec /app/words: permission denied",
    ),
    (
        "a place that is not there",
        ImageConfig(working_directory="/nowhere"),
        "Runtime.InvalidWorkingDir",
        "chdir /nowhere: no such file or directory",
    ),
]


@pytest.mark.parametrize(("config", "kind", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_what_cannot_be_started_says_so(
    rig: Any, image: ImageUse, config: ImageConfig, kind: str, words: str
) -> None:
    result = await rig.invoke(await made_of(rig, image, image_config=config))
    answer = json.loads(result.payload)
    assert (result.function_error, answer["errorType"]) == ("Unhandled", kind)
    assert answer["errorMessage"].endswith(f"Error: {words}")


async def test_a_program_that_ends_is_started_anew(rig: Any, image: ImageUse) -> None:
    version = await made_of(rig, image)
    ended = json.loads((await rig.invoke(version, b'"leave"')).payload)
    assert ended["errorType"] == "Runtime.ExitError"
    assert await ask(rig, version, "place") == "/home/work"


async def test_what_is_unpacked_runs_on_without_the_engine_and_what_is_not_says_why(rig: Any, podman: Engine) -> None:
    podman.build("cumulet-tests/two:1", 'ENTRYPOINT ["/run", "two"]', files={"run": podman.program})
    image: ImageUse = await rig.plane.find_image("cumulet-tests/two:1")
    version = await made_of(rig, image)
    assert await ask(rig, version, "words") == "/run two "
    podman.run("image", "rm", "--force", image.image_id)
    again = await made_of(rig, image)
    assert await ask(rig, again, "words") == "/run two "

    missing = msgspec.structs.replace(image, digest="0" * 64, image_id="1" * 64)
    lost = await made_of(rig, missing)
    with pytest.raises(ServiceError, match="cannot be unpacked") as caught:
        await rig.invoke(lost)
    assert (caught.value.code, caught.value.status) == ("CodeArtifactUserFailedException", 409)

    def state(tx: Any) -> tuple[str, str]:
        found = FUNCTIONS.find(tx, rig.scope, lost.function_name)
        return ("", "") if found is None else (found.latest.state, found.latest.state_reason_code)

    assert await rig.store.read(state) == ("Failed", "ImageDeleted")


@pytest.mark.parametrize(("state", "code"), [("Pending", "Creating"), ("Failed", "ImageDeleted")])
async def test_a_function_is_active_once_its_image_is_unpacked(
    rig: Any, image: ImageUse, state: str, code: str
) -> None:
    version = await made_of(rig, image, state=state, state_reason="As the test has it.", state_reason_code=code)
    published = msgspec.structs.replace(version, version="1")
    other = msgspec.structs.replace(published, version="2", image=msgspec.structs.replace(image, digest="0" * 64))

    def publish(tx: Any) -> None:
        for one in (published, other):
            VERSIONS.save(tx, rig.scope, one.function_name, int(one.version), record=one)

    await rig.store.write(publish)
    await rig.invoke(version, b'"words"')

    def states(tx: Any) -> list[tuple[str, str]]:
        function = FUNCTIONS.find(tx, rig.scope, version.function_name)
        assert function is not None
        found = [function.latest, *VERSIONS.scan(tx, rig.scope, version.function_name)]
        return [(one.version, one.state) for one in found]

    assert await rig.store.read(states) == [("$LATEST", ""), ("1", ""), ("2", state)]


@pytest.mark.parametrize(("before", "after"), [("Pending", "Failed"), ("", "")])
async def test_an_engine_that_fails_ends_the_wait_for_a_new_function_alone(
    rig: Any, image: ImageUse, before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*asked: object) -> None:
        raise engine.EngineError("it is out of order")

    monkeypatch.setattr(engine, "inspect", fail)
    version = await made_of(rig, msgspec.structs.replace(image, digest="2" * 64), state=before)
    with pytest.raises(ServiceError, match="out of order"):
        await rig.invoke(version)
    function = await rig.store.read(lambda tx: FUNCTIONS.find(tx, rig.scope, version.function_name))
    assert (function.latest.state, function.latest.state_reason_code) == (after, "InternalError" if after else "")


async def test_an_image_counts_among_what_is_unpacked(rig: Any, image: ImageUse) -> None:
    supervisor = rig.plane._supervisor
    sizes = await supervisor._code.look_through()
    assert sizes[image.digest] >= 2 * image.size / 3  # sparse or shared parts take less than the engine counts
    await rig.invoke(await made_of(rig, image), b'"words"')
    assert image.digest in supervisor._code_in_use()


async def test_without_walls_nothing_of_an_image_runs(
    rig: Any, image: ImageUse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zygote, "_isolation_refused", "a test")
    plain = type(rig)(tmp_path)
    await plain.plane.start()
    try:
        version = await made_of(plain, image, image_config=ImageConfig(entry_point=("/bin/touch", f"{tmp_path}/ran")))
        for refused in (plain.plane.find_image("cumulet-tests/one:1"), plain.invoke(version)):
            with pytest.raises(NotImplementedHere, match=r"permits no namespaces \(a test; see `cumulet doctor`\)"):
                await refused
    finally:
        await plain.plane.stop()
    assert not (tmp_path / "ran").exists()


async def test_nothing_is_left_in_the_engine(podman: Engine) -> None:
    assert podman.run("ps", "--all", "--quiet") == ""
    assert podman.run("volume", "ls", "--quiet") == ""


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("--help", "Source image --help is not valid. Provide a valid source image."),
        (
            "docker-archive:/etc/passwd",
            "Source image docker-archive:/etc/passwd is not valid. Provide a valid source image.",
        ),
        ("cumulet-tests/none:1", "Source image cumulet-tests/none:1 does not exist. Provide a valid source image."),
    ],
)
async def test_a_name_that_stands_for_nothing(rig: Any, podman: Engine, uri: str, words: str) -> None:
    with pytest.raises(ServiceError) as caught:
        await rig.plane.find_image(uri)
    assert (caught.value.code, caught.value.message) == ("InvalidParameterValueException", words)
