"""The manifests for Kubernetes."""

import json
import subprocess
from typing import Any

import kubernetes_validate
import pytest

from cumulet.edge import limits
from cumulet.settings import DEFAULT_PORT, make_settings
from cumulet.store.postgres.engine import LANES_MAX
from manifests import ALIVE, DEPLOY, HEALTH, PRE_STOP_S, ROOT, load, load_all, merged, parse_command, unknown_settings

VERSIONS = ("1.30", "1.37")
"""The oldest that knows all fields of isolated/, and the newest that the validator has."""

DEPLOYMENT, SERVICE, BUDGET = load_all("kubernetes/cumulet.yaml")
CLUSTER = load("kubernetes/postgres.yaml")
INGRESS = load("kubernetes/ingress.example.yaml")
SECRET = load("kubernetes/secret.example.yaml")
ISOLATED = merged(DEPLOYMENT, load("kubernetes/isolated/deployment.yaml"))
POD = DEPLOYMENT["spec"]["template"]["spec"]
NODE = POD["containers"][0]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "document",
    [DEPLOYMENT, SERVICE, BUDGET, INGRESS, SECRET, ISOLATED],
    ids=["Deployment", "Service", "PodDisruptionBudget", "Ingress", "Secret", "isolated Deployment"],
)
def test_the_cluster_would_take_it(document: Any, version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_the_validator_refuses_what_the_cluster_would() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(merged(SERVICE, {"spec": {"porst": []}}), VERSIONS[0], strict=True)


def check_cluster(document: Any) -> Any:
    command = ["node", str(ROOT / "tests/deploy/check_cluster.cjs")]
    done = subprocess.run(command, input=json.dumps(document), capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_operator_of_postgresql_would_take_it() -> None:
    assert check_cluster(CLUSTER) == {"errors": [], "unknown": []}
    wrong = merged(CLUSTER, {"spec": {"instances": "three", "storrage": {"size": "1Gi"}}})
    found = check_cluster(wrong)
    assert [error["instancePath"] for error in found["errors"]] == ["/spec/instances"]
    assert found["unknown"] == [".spec.storrage", ".spec.storrage.size"]


def test_the_parts_fit_together() -> None:
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    for selector in (
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        SERVICE["spec"]["selector"],
        BUDGET["spec"]["selector"]["matchLabels"],
        POD["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    (port,) = NODE["ports"]
    assert port == {"name": SERVICE["spec"]["ports"][0]["targetPort"], "containerPort": DEFAULT_PORT}
    backend = INGRESS["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": SERVICE["metadata"]["name"], "port": {"name": SERVICE["spec"]["ports"][0]["name"]}}
    assert {mount["name"] for mount in NODE["volumeMounts"]} == {volume["name"] for volume in POD["volumes"]}
    assert ISOLATED["metadata"]["name"] == DEPLOYMENT["metadata"]["name"]


def test_what_is_listed_exists() -> None:
    base = load("kubernetes/kustomization.yaml")
    assert base["resources"] == ["postgres.yaml", "cumulet.yaml"]
    isolated = load("kubernetes/isolated/kustomization.yaml")
    assert isolated == {**base, "resources": [".."], "patches": [{"path": "deployment.yaml"}]}
    for name in (*base["resources"], "isolated/deployment.yaml"):
        assert (DEPLOY / "kubernetes" / name).is_file()


def test_a_node_is_started_as_the_settings_allow() -> None:
    secrets = {SECRET["metadata"]["name"]: SECRET["stringData"]}
    # The operator makes this one, and names it after the cluster: https://cloudnative-pg.io/documentation/current/applications/
    secrets[f"{CLUSTER['metadata']['name']}-app"] = {
        "uri": "postgresql://cumulet:secret@cumulet-postgres-rw:5432/cumulet"
    }
    environ = {
        one["name"]: secrets[one["valueFrom"]["secretKeyRef"]["name"]][one["valueFrom"]["secretKeyRef"]["key"]]
        for one in NODE["env"]
    }
    assert unknown_settings(environ) == []
    settings = make_settings(environ, **parse_command(NODE["args"]))
    assert settings.strict
    assert settings.port == DEFAULT_PORT
    assert "command" not in NODE, "the image knows its program"


def test_its_health_is_asked_for_where_it_answers() -> None:
    for probe, path in (("startupProbe", HEALTH), ("readinessProbe", HEALTH), ("livenessProbe", ALIVE)):
        assert NODE[probe]["httpGet"] == {"path": path, "port": NODE["ports"][0]["name"]}
    # Taken out of service before it is thought dead.
    ready, alive = NODE["readinessProbe"], NODE["livenessProbe"]
    assert ready["periodSeconds"] * ready["failureThreshold"] < alive["periodSeconds"] * alive["failureThreshold"]


def test_a_node_has_the_time_to_end() -> None:
    assert NODE["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", str(PRE_STOP_S)]
    assert POD["terminationGracePeriodSeconds"] >= PRE_STOP_S + limits.SHUTDOWN_SECONDS_MAX + 20


def test_an_update_never_leaves_fewer_nodes() -> None:
    assert DEPLOYMENT["spec"]["replicas"] >= 2
    assert DEPLOYMENT["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert BUDGET["spec"]["maxUnavailable"] == 1


def test_the_database_has_room_for_every_node_and_one_more() -> None:
    nodes = DEPLOYMENT["spec"]["replicas"] + DEPLOYMENT["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    connections_max = int(CLUSTER["spec"]["postgresql"]["parameters"]["max_connections"])
    # Each node's lanes and its line for hints; and some for the operator, replication and `cumulet backup`.
    assert nodes * (LANES_MAX + 1) + 20 <= connections_max


def test_a_node_may_do_no_more_than_it_must() -> None:
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["automountServiceAccountToken"] is False
    assert NODE["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in NODE["volumeMounts"]} == {"/tmp", "/var/lib/cumulet"}
    with_walls = ISOLATED["spec"]["template"]["spec"]["containers"][0]
    assert with_walls["image"] == NODE["image"]
    assert "SYS_ADMIN" in with_walls["securityContext"]["capabilities"]["add"]


def test_the_user_is_the_images() -> None:
    user = POD["securityContext"]
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}\n" in (DEPLOY / "Dockerfile").read_text()
