"""What container engines tell, and what becomes of an engine that refuses, fails or tells nonsense."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.images import engine
from cumulet.services.lambda_.execution.images.engine import EngineError, ImageAbsent, ImageDenied, ImageUnfit

ID, DIGEST, OTHER = "1" * 64, "d" * 64, "e" * 64
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/notes/api"


def told(**more: Any) -> dict[str, Any]:
    config = {
        "Env": ["PATH=/bin", "EMPTY=", "SUM=1=1", "", "=x"],
        "Entrypoint": ["/run"],
        "Cmd": None,
        "WorkingDir": "",
    }
    return {"Id": ID, "Size": 10, "Architecture": "amd64", "Os": "linux", "Config": config, **more}


def read(uri: str = "notes:1", **more: Any) -> Any:
    return engine.read_image(uri, json.dumps([told(**more)]).encode())


def test_what_podman_tells() -> None:
    image = read("localhost/notes:1", Digest=f"sha256:{DIGEST}", RepoDigests=[f"localhost/notes@sha256:{DIGEST}"])
    assert (image.digest, image.image_id) == (DIGEST, ID)
    assert image.resolved_uri == f"localhost/notes@sha256:{DIGEST}"
    assert (image.entry_point, image.command, image.working_directory) == (("/run",), (), "/")
    assert image.environment == {"PATH": "/bin", "EMPTY": "", "SUM": "1=1"}
    assert image.architecture == "x86_64"


def test_what_docker_tells() -> None:
    pulled = read(
        f"{ECR}:7",
        Id=f"sha256:{ID}",
        RepoDigests=[f"other@sha256:{OTHER}", f"{ECR}@sha256:{DIGEST}"],
        Architecture="arm64",
    )
    assert (pulled.digest, pulled.image_id, pulled.architecture) == (DIGEST, ID, "arm64")
    # What was built and never pushed has no manifest, and so no digest of it.
    assert read(Id=f"sha256:{ID}", RepoDigests=[]).resolved_uri == f"notes@sha256:{ID}"
    assert read(Id=f"sha256:{ID}", RepoDigests=None, Config=None).entry_point == ()


def test_the_beginning_of_an_id_is_no_name() -> None:
    with pytest.raises(ImageAbsent):
        read("11")
    with pytest.raises(ImageAbsent):
        read("11", RepoTags=["localhost/111:1"])
    assert read("11", RepoTags=["localhost/11:latest"]).image_id == ID


UNFIT = [
    ("nothing", b""),
    ("no image", b"[]"),
    ("no list", b'{"a": 1}'),
    ("no size", json.dumps([{"Id": ID}]).encode()),
    ("an id that is none", json.dumps([told(Id="../../etc")]).encode()),
    ("a digest that is none", json.dumps([told(Digest="sha256:..")]).encode()),
    ("a character that is none", json.dumps([told(Config={"Cmd": ["a\0b"]})]).encode()),
    ("another system", json.dumps([told(Os="windows")]).encode()),
    ("too large", json.dumps([told(Size=limits.IMAGE_BYTES_MAX + 1)]).encode()),
    ("too many variables", json.dumps([told(Config={"Env": ["A=" + "x" * limits.IMAGE_CONFIG_BYTES_MAX]})]).encode()),
]


@pytest.mark.parametrize("words", [row[1] for row in UNFIT], ids=[row[0] for row in UNFIT])
def test_what_no_function_can_be_made_of(words: bytes) -> None:
    with pytest.raises(ImageUnfit):
        engine.read_image("notes:1", words)


NAMES = [
    ("notes", "notes"),
    ("notes:1", "notes"),
    ("localhost/notes:Tag_1.0", "localhost/notes"),
    ("registry:5000/notes", "registry:5000/notes"),
    ("registry:5000/notes:1", "registry:5000/notes"),
    (f"{ECR}:latest", ECR),
    (f"{ECR}@sha256:{DIGEST}", ECR),
    (f"{ECR}:1@sha256:{DIGEST}", ECR),
    (f"registry:5000/notes@sha256:{DIGEST}", "registry:5000/notes"),
    (DIGEST, DIGEST),
]


@pytest.mark.parametrize(("uri", "repository"), NAMES)
def test_a_name_and_its_repository(uri: str, repository: str) -> None:
    assert engine.is_reference(uri)
    assert engine.repository_of(uri) == repository


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "-x",
        "--help",
        "-f/x",
        "--root/x",
        "-c:1/x",
        "dir:/etc",
        "docker-archive:/x.tar",
        "a b",
        "a\n",
        "A/B",
        "a:",
        "é",
        "/a",
        "a//",
        "x" * 600,
    ],
)
def test_what_is_no_name(uri: str) -> None:
    assert not engine.is_reference(uri)


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts engines on the PATH that are scripts, and nothing else."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(**scripts: str) -> None:
        for name, script in scripts.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)

    return put


ABSENT = "echo 'Error: inspecting object: notes: image not known' >&2; exit 125"
DOWN = "echo 'Cannot connect to the Docker daemon. Is the docker daemon running?' >&2; exit 1"
ELSEWHERE = """echo 'Error: inspecting object: unsupported transport "dir" for looking up local images' >&2; exit 125"""
DENIED = "echo 'permission denied while trying to connect to the Docker daemon socket' >&2; exit 1"
HAS = f"echo '{json.dumps([told(Digest=f'sha256:{DIGEST}')])}'"

ANSWERS = [
    ("the second has it", {"podman": ABSENT, "docker": HAS}, None),
    ("the first does not answer", {"podman": DOWN, "docker": HAS}, None),
    ("none has it", {"podman": ABSENT, "docker": ABSENT}, ImageAbsent),
    ("one that does not answer is as if it were not there", {"podman": ABSENT, "docker": DOWN}, ImageAbsent),
    ("one may not be asked", {"podman": ABSENT, "docker": DENIED}, ImageDenied),
    ("none answers", {"docker": DOWN}, EngineError),
    ("the name is a place elsewhere", {"podman": ELSEWHERE, "docker": DOWN}, ImageAbsent),
    ("nonsense", {"podman": "echo nonsense"}, ImageUnfit),
    ("no engine", {}, ImageAbsent),
]


@pytest.mark.parametrize(("scripts", "refusal"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
async def test_several_engines(install: Install, scripts: dict[str, str], refusal: type[EngineError] | None) -> None:
    install(**scripts)
    if refusal is None:
        path, image = await engine.inspect("notes:1")
        assert (Path(path).name, image.digest) == ("docker", DIGEST)
    else:
        with pytest.raises(refusal) as caught:
            await engine.inspect("notes:1")
        assert type(caught.value) is refusal


async def test_an_image_is_looked_for_under_its_id_not_its_name(install: Install) -> None:
    install(podman=f'test "$3" = {ID} || {{ {ABSENT}; }}\n{HAS}')
    with pytest.raises(ImageAbsent):
        await engine.inspect("notes:1")
    assert (await engine.inspect("notes:1", ID))[1].uri == "notes:1"


async def test_files_that_do_not_come_whole_are_refused_and_the_container_goes(
    install: Install, tmp_path: Path
) -> None:
    removed = tmp_path / "removed"
    install(
        podman=f"""case $1 in
            create) echo warning; echo c0ffee ;;
            export) echo some; echo 'the disk is broken' >&2; exit 3 ;;
            rm) echo $4 > {removed} ;;
        esac"""
    )
    read_bytes: list[bytes] = []

    def take(source: int) -> None:
        with open(source, "rb") as opened:
            read_bytes.append(opened.read())

    with pytest.raises(EngineError, match="podman: the disk is broken"):
        await engine.export(str(tmp_path / "podman"), ID, take)
    assert (read_bytes, removed.read_text()) == ([b"some\n"], "c0ffee\n")


async def test_who_reads_files_may_refuse_them(install: Install, tmp_path: Path) -> None:
    install(podman="case $1 in create) echo c0ffee ;; export) while echo more; do :; done ;; esac")

    def take(source: int) -> None:
        with open(source, "rb") as opened:
            opened.read(10)
        raise ImageUnfit("it is enough")

    with pytest.raises(ImageUnfit, match="it is enough"):
        await engine.export(str(tmp_path / "podman"), ID, take)


async def test_a_server_that_stops_leaves_no_engine_at_work(rig: Any, install: Install, tmp_path: Path) -> None:
    started, removed = tmp_path / "started", tmp_path / "removed"
    install(
        podman=f"""case $1 in
            image) {HAS} ;;
            create) echo c0ffee ;;
            export) /bin/sleep 300 & echo $! > {started}.draft; /bin/mv {started}.draft {started}; wait ;;
            rm) echo $4 > {removed} ;;
        esac"""
    )
    stopping = type(rig)(tmp_path / "data")
    await stopping.plane.start()
    image = (await engine.inspect("notes:1"))[1]
    assert not await stopping.plane.unpack_image(image, 0)
    async with asyncio.timeout(30):
        while not started.exists():
            await asyncio.sleep(0.01)
        await stopping.plane.stop()
    assert removed.read_text() == "c0ffee\n"
    sleeping = Path(f"/proc/{started.read_text().strip()}/stat")
    # Whoever adopts orphans may not have reaped it yet.
    assert not sleeping.exists() or sleeping.read_text().rpartition(")")[2].split()[0] == "Z"


async def test_what_a_killed_server_left_behind_is_removed(install: Install, tmp_path: Path) -> None:
    removed = tmp_path / "removed"
    lines = f"aaa map[{engine.LABEL}:999999999]\\nbbb {engine.LABEL}=1,other=2\\nccc other=1\\n"
    install(podman=f'case $1 in ps) printf "{lines}" ;; rm) echo $4 >> {removed} ;; esac')
    await engine.sweep()
    assert removed.read_text() == "aaa\n"
