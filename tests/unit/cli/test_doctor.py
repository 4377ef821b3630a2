"""`cumulet doctor` tells what a machine has, and its status whether the server could work there."""

import socket
from pathlib import Path

import pytest

from cumulet.cli import doctor
from cumulet.cli.doctor import examine, judge_runtime, look_at_images, look_at_port, look_at_store
from cumulet.settings import make_settings


@pytest.mark.slow
def test_a_machine_that_will_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert examine(data_dir=tmp_path / "data", port=port) == 0
    lines = capsys.readouterr().out.splitlines()
    subjects = [line[6:22].strip() for line in lines]
    for subject in (
        "cumulet",
        "clock",
        "port",
        "store",
        "data folder",
        "walls",
        "network",
        "python3.12",
        "nodejs20.x",
        "others",
        "images",
    ):
        assert subject in subjects
    assert not list(tmp_path.iterdir())


def test_a_data_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = make_settings(data_dir=tmp_path / "file" / "data")
    assert [finding.grade for finding in look_at_store(settings)] == ["ok", "bad"]


def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = make_settings(port=taken.getsockname()[1])
        (finding,) = look_at_port(settings)
    assert finding.grade == "note"
    assert "Address already in use" in finding.words


def test_a_machine_without_container_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (finding,) = look_at_images(make_settings())
    assert (finding.grade, "install either" in finding.words) == ("note", True)


def test_an_engine_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, script in (("podman", "exit 0"), ("docker", "echo 'no daemon' >&2; exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    podman, docker = look_at_images(make_settings())
    assert (podman.grade, docker.grade) == ("ok", "note")
    assert docker.words == f"{tmp_path}/docker does not answer: docker: no daemon"


RUNTIMES = [
    ("provided.al2023", "ok", "runs the bootstrap of the function or of a layer"),
    ("python3.0", "note", "does not run on this machine; its functions run on "),
    ("ruby3.4", "note", "not on this machine; its functions are refused"),
]


@pytest.mark.parametrize(("runtime", "grade", "words"), RUNTIMES)
def test_runtimes(runtime: str, grade: str, words: str) -> None:
    finding = judge_runtime(runtime, lambda executable: "0")
    assert (finding.grade, finding.words[: len(words)]) == (grade, words)


def test_a_machine_with_nothing_on_its_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("cumulet.services.lambda_.execution.sandbox.java._JVMS", tmp_path)
    for runtime in ("nodejs20.x", "java17"):
        finding = judge_runtime(runtime, lambda executable: "0")
        assert (finding.grade, finding.words) == ("note", "not on this machine; its functions are refused")


def test_what_is_bad_is_told_by_the_status(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("look_at_walls", "look_at_runtimes"):
        monkeypatch.setattr(doctor, name, lambda settings: iter(()))
    assert examine(data_dir=tmp_path / "file" / "data", port=0) == 1


@pytest.mark.parametrize(
    ("executable", "configured", "optimised"),
    [
        pytest.param("/usr/bin/python3.11", "'--enable-shared'", True, id="a distribution's"),
        pytest.param("/usr/local/bin/python3.13", "'--enable-optimizations' '--with-lto'", True, id="said so"),
        pytest.param("/home/me/versions/3.11.7/bin/python3.11", "'--enable-shared'", False, id="compiled quickly"),
        pytest.param("/usr/local/bin/python3.13", "", False, id="compiled quickly, with nothing said"),
    ],
)
def test_how_a_python_was_built(executable: str, configured: str, optimised: bool) -> None:
    assert doctor.is_optimised(executable, configured) is optimised
