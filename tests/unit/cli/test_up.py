"""What `cumulet up` writes to its log, and what it clears away."""

import io
import logging
from pathlib import Path

import pytest

from cumulet.cli.up import LineFormatter, remove_left_behind
from cumulet.settings import Settings


@pytest.fixture
def log() -> tuple[logging.Logger, io.StringIO]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(LineFormatter())
    logger = logging.Logger("cumulet.edge")
    logger.addHandler(handler)
    return logger, written


def test_a_line_has_the_fields_that_were_logged_with_it(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    logger.error("a request failed inside Cumulet", extra={"request_id": "R1", "path": "/a"})
    logger.warning("%d connections", 3)
    first, second = written.getvalue().splitlines()
    assert first.endswith(" ERROR   cumulet.edge  a request failed inside Cumulet (request_id: R1, path: /a)")
    assert second.endswith(" WARNING cumulet.edge  3 connections")


def test_what_went_wrong_follows_the_line(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("it failed", extra={"request_id": "R1"})
    lines = written.getvalue().splitlines()
    assert lines[0].endswith("it failed (request_id: R1)")
    assert lines[-1] == "ValueError: broken"


@pytest.mark.parametrize(
    ("workers", "kept"),
    [(1, {"lambda", "hints"}), (2, {"lambda", "hints", "worker-1", "worker-2"})],
    ids=["one", "two"],
)
def test_folders_of_processes_that_are_no_more_are_removed(tmp_path: Path, workers: int, kept: set[str]) -> None:
    run = tmp_path / "run"
    for name in ("lambda", "hints", "worker-1", "worker-2", "worker-3", "worker-11"):
        (run / name / "lambda" / "code").mkdir(parents=True)

    remove_left_behind(Settings(data_dir=tmp_path, workers=workers))

    assert {folder.name for folder in run.iterdir()} == kept
