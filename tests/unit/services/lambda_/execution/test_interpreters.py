"""Which Python a runtime gets."""

import sys
from pathlib import Path

import pytest

from cumulet.errors import NotImplementedHere
from cumulet.services.lambda_.execution.sandbox import interpreters
from cumulet.services.lambda_.execution.sandbox.interpreters import (
    find_installed,
    find_interpreter,
    oldest_minor,
    own_interpreter,
    sdk_requirements,
)

OWN = sys.version_info.minor


def install(folder: Path, name: str, bin_folder: Path | None = None) -> Path:
    """Make what looks like an installation of a Python, and return its executable."""
    (folder / "lib" / name).mkdir(parents=True)
    (folder / "bin").mkdir()
    executable = folder / "bin" / name
    executable.touch(0o755)
    if bin_folder is not None:
        bin_folder.mkdir(exist_ok=True)
        (bin_folder / name).symlink_to(executable)
    return executable


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which executables are looked for."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def test_a_link_leads_to_its_installation(path: Path, tmp_path: Path) -> None:
    executable = install(tmp_path / "there", "python3.14", path)
    found = find_installed("python3.14")
    assert found is not None
    assert (found.executable, found.prefix) == (str(executable), str(tmp_path / "there"))


def test_a_script_is_none(path: Path) -> None:
    path.mkdir()
    (path / "python3.14").touch(0o755)
    assert find_installed("python3.14") is None
    assert find_installed("python3.15") is None


def test_a_shim_of_pyenv_leads_to_the_newest_of_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "python3.14").touch(0o755)
    for version in ("3.14.2", "3.14.10", "3.14.9", "3.13.11"):
        install(tmp_path / "versions" / version, "python3.14")
    monkeypatch.setenv("PATH", str(shims))
    found = find_installed("python3.14")
    assert found is not None
    assert found.prefix == str(tmp_path / "versions" / "3.14.10")


def test_the_nearest_is_taken(path: Path, tmp_path: Path) -> None:
    assert find_interpreter(f"python3.{OWN}") == own_interpreter()
    assert find_interpreter("python3.8") == own_interpreter()
    newer = install(tmp_path / "newer", f"python3.{OWN + 2}", path)
    assert find_interpreter(f"python3.{OWN + 2}").executable == str(newer)
    assert find_interpreter(f"python3.{OWN + 3}").executable == str(newer)
    assert find_interpreter(f"python3.{OWN + 1}").executable == str(newer)  # as near as our own, and newer
    assert find_interpreter("python3.8") == own_interpreter()


def test_a_python_that_is_too_old_for_the_sdk_is_passed_over(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = install(tmp_path / "older", f"python3.{OWN - 1}", path)
    for oldest, found in ((OWN, own_interpreter().executable), (OWN - 1, str(older))):
        monkeypatch.setattr(interpreters, "sdk_requirements", lambda oldest=oldest: (f">=3.{oldest}",))
        assert find_interpreter(f"python3.{OWN - 1}").executable == found


@pytest.mark.parametrize(
    ("requirements", "oldest"),
    [((), 0), ((">=3.9", ">= 3.10", ">=3.8"), 10), ((">=2.7, !=3.0.*, !=3.1.*", ">=3.12, <4"), 12)],
)
def test_the_oldest_python_of_requirements(requirements: tuple[str, ...], oldest: int) -> None:
    assert oldest_minor(requirements) == oldest


def test_the_sdk_tells_what_it_needs() -> None:
    assert all(sdk_requirements())
    assert oldest_minor(sdk_requirements()) <= OWN


@pytest.mark.parametrize("runtime", ["python2.7", "python3", "nodejs20.x", "python3.x"])
def test_what_is_no_python(runtime: str) -> None:
    with pytest.raises(NotImplementedHere):
        find_interpreter(runtime)
