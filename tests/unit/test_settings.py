"""Settings: which source wins, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from cumulet.settings import Settings, SettingsError, make_client_settings, make_settings


def test_defaults() -> None:
    assert make_settings({}) == Settings()


def test_a_flag_wins_over_the_environment_and_that_over_the_default() -> None:
    environ = {"CUMULET_PORT": "5000", "CUMULET_REGION": "eu-west-1", "CUMULET_DATA_DIR": "/data"}
    settings = make_settings(environ, port=6000)
    assert (settings.port, settings.region, settings.data_dir) == (6000, "eu-west-1", Path("/data"))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"durability": "sometimes"}, "durability is fsync, os or memory"),
        ({"port": 70000}, "a port is a number from 0 to 65535"),
        ({"port": "http"}, "a port is a number from 0 to 65535"),
        ({"workers": 0}, "workers is a number from 1 to 32"),
        ({"workers": 33}, "workers is a number from 1 to 32"),
        ({"workers": "all"}, "workers is a number from 1 to 32"),
        ({"account": "12"}, "an account is 12 digits"),
        ({"store": "mysql://user:secret@host/db"}, "a URL that begins with postgresql://"),
        ({"host": "0.0.0.0"}, "add --strict"),
        ({"root_access_key_id": "ROOT"}, "set both or neither"),
        ({"root_secret_access_key": "0123456789abcdef"}, "set both or neither"),
        ({"root_access_key_id": "ROOT", "root_secret_access_key": "short"}, "at least 16 characters"),
        ({"root_access_key_id": "a/b", "root_secret_access_key": "0123456789abcdef"}, "letters, digits"),
        ({"root_access_key_id": "123456789012", "root_secret_access_key": "0123456789abcdef"}, "an account's number"),
        ({"host": "example.com"}, "add --strict"),
        ({"nodejs_modules": "/usr"}, "the full path of a folder node_modules, not '/usr'"),
        ({"nodejs_modules": "/no/such/node_modules"}, "the full path of a folder node_modules"),
        ({"nodejs_modules": "node_modules"}, "the full path of a folder node_modules"),
    ],
)
def test_refused(flags: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        make_settings({}, **flags)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.3.2.1"])
def test_loopback_needs_no_strict_mode(host: str) -> None:
    assert make_settings({}, host=host).host == host


def test_strict_mode_may_listen_anywhere() -> None:
    assert make_settings({}, host="0.0.0.0", strict=True).endpoint == "http://localhost:4566"


def test_a_client_goes_where_aws_clients_go_unless_it_is_told_otherwise() -> None:
    environ = {"AWS_ENDPOINT_URL": "http://localhost:5000"}
    assert make_client_settings(environ).endpoint == "http://localhost:5000"
    assert make_client_settings({**environ, "CUMULET_ENDPOINT": "http://localhost:6000"}).endpoint.endswith(":6000")
    assert make_client_settings(environ, endpoint="http://localhost:7000").endpoint.endswith(":7000")


def test_a_client_takes_aws_names_from_the_environment() -> None:
    settings = make_client_settings({"AWS_REGION": "eu-north-1", "AWS_ACCESS_KEY_ID": "123456789012"})
    assert (settings.region, settings.access_key_id, settings.endpoint) == (
        "eu-north-1",
        "123456789012",
        "http://localhost:4566",
    )


def test_the_roots_key_comes_from_the_environment_and_is_not_shown() -> None:
    environ = {"CUMULET_ROOT_ACCESS_KEY_ID": "ROOT", "CUMULET_ROOT_SECRET_ACCESS_KEY": "0123456789abcdef"}
    settings = make_settings(environ, host="0.0.0.0", strict=True)
    assert (settings.root_access_key_id, settings.root_secret_access_key) == ("ROOT", "0123456789abcdef")
    assert "0123456789abcdef" not in repr(settings)


def test_each_process_of_a_group_has_a_folder_of_its_own() -> None:
    alone = make_settings({"CUMULET_WORKERS": "4", "CUMULET_WORKER": "7"}, data_dir="data")
    ours = replace(alone, worker=2)

    assert (alone.workers, alone.worker) == (4, 0)
    assert alone.run_dir == Path("data").resolve() / "run"
    assert ours.run_dir == Path("data").resolve() / "run" / "worker-2"


def test_a_stores_password_is_not_shown() -> None:
    settings = make_settings({"CUMULET_STORE": "postgresql://user:secret@host/db"})
    assert settings.store == "postgresql://user:secret@host/db"
    assert "secret" not in repr(settings)
    with pytest.raises(SettingsError) as raised:
        make_settings({"CUMULET_STORE": "mysql://user:secret@host/db"})
    assert "secret" not in str(raised.value)
