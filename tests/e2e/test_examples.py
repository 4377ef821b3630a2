"""What the examples say is what AWS takes: their templates against AWS's own published resource schemas."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

TEMPLATES = sorted((ROOT / "examples").glob("*/template.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.parent.name)
def test_a_template_of_the_examples_is_one_of_aws(template: Path) -> None:
    linted = lint(template)
    assert (linted.returncode, linted.stdout) == (0, "")


@pytest.mark.slow
def test_a_template_that_aws_refuses_is_found_out(tmp_path: Path) -> None:
    broken = tmp_path / "template.yaml"
    broken.write_text(TEMPLATES[0].read_text().replace("AttributeType: S", "AttributeType: Text"))
    assert "E3030" in lint(broken).stdout


def lint(template: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--format", "parseable", "--", str(template)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
