"""compose.yaml, its override and the load balancer's configuration."""

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from cumulet.edge import limits
from cumulet.settings import DEFAULT_PORT, make_settings
from manifests import DEPLOY, HEALTH, load, merged, parse_command, unknown_settings

COMPOSE = load("compose.yaml")
ISOLATED = load("compose.isolated.yaml")
NODES = ["node-1", "node-2"]


@cache
def validator() -> Any:
    """Return what checks a document against the schema of compose files."""
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


@pytest.mark.parametrize("document", [COMPOSE, ISOLATED, merged(COMPOSE, ISOLATED)], ids=["base", "isolated", "both"])
def test_it_is_a_compose_file(document: Any) -> None:
    without_removed = {
        **document,
        "services": {
            name: {key: value for key, value in service.items() if value is not None}
            for name, service in document["services"].items()
        },
    }
    validator().validate(without_removed)


def test_the_schema_refuses_what_compose_would() -> None:
    with pytest.raises(jsonschema.ValidationError):
        validator().validate({**COMPOSE, "services": {"node-1": {"imag": "cumulet"}}})


@pytest.mark.parametrize("name", NODES)
def test_a_node_is_started_as_the_settings_allow(name: str) -> None:
    node = COMPOSE["services"][name]
    environ = {
        key: re.sub(r"\$\{(\w+):\?[^}]*\}", "a_value_for_the_test", value) for key, value in node["environment"].items()
    }
    assert unknown_settings(environ) == []
    settings = make_settings(environ, **parse_command(node["command"]))
    assert settings.strict
    assert settings.root_access_key_id == "a_value_for_the_test"
    assert settings.port == DEFAULT_PORT


def test_secrets_come_from_outside() -> None:
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if any(word in name for word in ("PASSWORD", "SECRET", "STORE", "KEY")):
                assert re.search(r"\$\{\w+:\?[^}]+\}", value), (
                    f"{name} has no value of its own, and none is taken for it"
                )


def test_the_nodes_reach_the_database_that_is_made() -> None:
    postgres = COMPOSE["services"]["postgres"]
    made = postgres["environment"]
    url = COMPOSE["services"]["node-1"]["environment"]["CUMULET_STORE"]
    user, host, database = re.fullmatch(r"postgresql://(\w+):\$\{.*\}@(\w+)/(\w+)", url).groups()  # type: ignore[union-attr]
    assert (user, host, database) == (made["POSTGRES_USER"], "postgres", made["POSTGRES_DB"])
    asked = postgres["healthcheck"]["test"]
    assert {f"--username={user}", f"--dbname={database}", "--host=127.0.0.1"} <= set(asked)


@pytest.mark.parametrize("name", NODES)
def test_a_node_has_the_time_to_end(name: str) -> None:
    node = COMPOSE["services"][name]
    assert int(node["stop_grace_period"].removesuffix("s")) >= limits.SHUTDOWN_SECONDS_MAX + 20
    assert node["init"] is True


def test_what_is_named_exists() -> None:
    services = COMPOSE["services"]
    for name in NODES:
        build = services[name]["build"]
        context = (DEPLOY / build["context"]).resolve()
        assert (context / build["dockerfile"]).is_file()
    for service in services.values():
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert set(service.get("depends_on", {})) <= set(services)
        for needed, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert needed in NODES or "healthcheck" in services[needed]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (DEPLOY / source).is_file()
    assert set(ISOLATED["services"]) == set(NODES)


@pytest.mark.parametrize("name", NODES)
def test_a_node_may_do_no_more_than_it_must(name: str) -> None:
    node = COMPOSE["services"][name]
    assert node["cap_drop"] == ["ALL"]
    assert "cap_add" not in node
    assert node["read_only"] is True
    assert [mount.split(":")[0] for mount in node["tmpfs"]] == ["/tmp", "/var/lib/cumulet"]
    with_walls = merged(COMPOSE, ISOLATED)["services"][name]
    assert (with_walls["user"], with_walls["cap_drop"], with_walls["cap_add"]) == ("0:0", None, ["SYS_ADMIN"])
    assert "no-new-privileges:true" not in with_walls["security_opt"]


def balancer() -> dict[str, list[str]]:
    """Return the load balancer's sections, without comments."""
    sections: dict[str, list[str]] = {}
    for line in (DEPLOY / "haproxy.cfg").read_text().splitlines():
        text = line.partition("#")[0].rstrip()
        if text and not text.startswith(" "):
            lines = sections.setdefault(text, [])
        elif text:
            lines.append(text.strip())
    return sections


def seconds(section: str, name: str) -> int:
    (found,) = [line.split()[-1] for line in balancer()[section] if line.startswith(name)]
    return int(found.removesuffix("s"))


def test_the_balancer_knows_the_nodes_and_their_health() -> None:
    backend = balancer()["backend nodes"]
    assert [line for line in backend if line.startswith("server")] == [
        f"server {name} {name}:{DEFAULT_PORT}" for name in NODES
    ]
    assert any(line.startswith(f"http-check send meth GET uri {HEALTH} ") for line in backend)
    assert balancer()["frontend aws"][0] == f"bind :{DEFAULT_PORT}"
    assert COMPOSE["services"]["balancer"]["ports"] == [f"127.0.0.1:{DEFAULT_PORT}:{DEFAULT_PORT}"]


def test_the_balancer_is_more_patient_than_any_request_and_less_than_a_node_that_waits_for_one() -> None:
    assert seconds("defaults", "timeout server") == seconds("defaults", "timeout client") >= 15 * 60 + 30
    assert seconds("defaults", "timeout http-keep-alive") < limits.IDLE_SECONDS_MAX


def test_the_balancer_sends_nothing_twice_that_may_have_arrived() -> None:
    assert [line for line in balancer()["defaults"] if line.startswith("retry-on")] == ["retry-on conn-failure"]
