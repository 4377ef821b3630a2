"""The Dockerfile: no engine runs here, so what can be wrong in it is looked for by reading it."""

import json
import re
import tomllib

from cumulet.settings import DEFAULT_PORT, make_settings
from manifests import DEPLOY, HEALTH, ROOT, dockerfile, parse_command, unknown_settings

INSTRUCTIONS = dockerfile()
LAST_STAGE = INSTRUCTIONS[max(at for at, (name, _) in enumerate(INSTRUCTIONS) if name == "FROM") :]


def only(name: str) -> str:
    """Return what follows the one instruction of that name in the image's own stage."""
    (found,) = [rest for instruction, rest in LAST_STAGE if instruction == name]
    return found


def environ() -> dict[str, str]:
    return dict(setting.split("=", 1) for setting in only("ENV").split())


def test_every_instruction_is_one() -> None:
    known = {
        "FROM",
        "WORKDIR",
        "COPY",
        "RUN",
        "ENV",
        "USER",
        "EXPOSE",
        "STOPSIGNAL",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    }
    assert {name for name, _ in INSTRUCTIONS} == known


def test_images_are_named_with_a_version() -> None:
    images = [rest.split()[0] for name, rest in INSTRUCTIONS if name == "FROM"]
    assert len(images) == 2
    for image in images:
        assert re.fullmatch(r"python:3\.\d+-slim", image)


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    ignore = [
        line for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] not in ("#", "")
    ]
    let_in = {line[1:] for line in ignore if line.startswith("!")}
    copied = {
        source
        for name, rest in INSTRUCTIONS
        if name == "COPY" and not rest.startswith("--from=")
        for source in rest.split()[:-1]
    }
    assert ignore[0] == "*"
    assert copied == let_in
    assert all((ROOT / source).exists() for source in copied)
    # What the package's own description needs for a build.
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {project["readme"], *project["license-files"], "pyproject.toml", "src"} <= copied


def test_what_is_copied_between_stages_is_made_there() -> None:
    assert only("COPY") == "--from=build /opt/cumulet /opt/cumulet"
    assert any("python -m venv /opt/cumulet" in rest for name, rest in INSTRUCTIONS if name == "RUN")
    assert environ()["PATH"] == "/opt/cumulet/bin:$PATH"


def test_the_extras_that_are_installed_exist() -> None:
    extras = set(re.findall(r"'\.\[([\w,]+)\]'", " ".join(rest for name, rest in INSTRUCTIONS if name == "RUN")))
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras == {"postgres"}
    assert extras <= set(known)


def test_nothing_is_root_at_the_end() -> None:
    user = only("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user), "a number: Kubernetes cannot see that a name is not root's"
    uid, gid = user.split(":")
    made = only("RUN")
    assert f"--uid {uid} --gid {gid}" in made
    assert f"--owner={uid} --group={gid} --mode=0700 /var/lib/cumulet" in made
    names = [name for name, _ in LAST_STAGE]
    assert names.index("RUN") < names.index("USER")


def test_the_command_is_one_that_serves_others() -> None:
    command = json.loads(only("ENTRYPOINT")) + json.loads(only("CMD"))
    assert command[0] == "cumulet"
    options = parse_command(command[1:])
    assert (options["host"], options["strict"], options["port"]) == ("0.0.0.0", True, None)
    # Not only its flags: what it is started with is what the settings accept.
    given = {name: value for name, value in environ().items() if name.startswith("CUMULET_")}
    settings = make_settings(given, **options)
    assert str(settings.data_dir) == only("WORKDIR") == "/var/lib/cumulet"
    assert settings.port == DEFAULT_PORT == int(only("EXPOSE"))
    assert unknown_settings(given) == []


def test_it_is_asked_for_its_health_where_it_answers() -> None:
    options, _, command = only("HEALTHCHECK").partition(" CMD ")
    program = json.loads(command)
    assert program[:2] == ["python", "-c"]
    compile(program[2], "healthcheck", "exec")
    assert f"http://127.0.0.1:{DEFAULT_PORT}{HEALTH}" in program[2]
    assert re.fullmatch(r"--interval=\d+s --timeout=5s --start-period=\d+s --retries=\d+", options)


def test_it_is_told_to_end_as_it_listens() -> None:
    assert only("STOPSIGNAL") == "SIGTERM"
