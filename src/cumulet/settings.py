"""One frozen `Settings`, made from flags and environment. Nothing else reads the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, get_args

Durability = Literal["fsync", "os", "memory"]

STORE_SCHEMES = ("postgresql://", "postgres://")
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 4566
DEFAULT_REGION = "us-east-1"
DEFAULT_ACCOUNT = "000000000000"
WORKERS_MAX = 32


class SettingsError(ValueError):
    """A setting that cannot be used, in words for the person who gave it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set from outside."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    data_dir: Path = Path(".cumulet")
    durability: Durability = "fsync"
    store: str = field(default="", repr=False)
    """The postgresql:// URL of a database that several nodes share; without it, everything is kept in `data_dir`."""
    region: str = DEFAULT_REGION
    account: str = DEFAULT_ACCOUNT
    strict: bool = False
    """Without developer credentials: only the root's own key and keys that IAM or STS issued are accepted."""
    root_access_key_id: str = ""
    """The default account's root, verified like any key: how the first keys of a strict server are made."""
    root_secret_access_key: str = field(default="", repr=False)
    log_level: str = "info"
    workers: int = 1
    """How many processes serve together, on one port."""
    worker: int = 0
    """Which of them this one is, from 1; 0 for a server of one process. Not for people to set."""
    dynamodb_delay_ms: int = 0
    """How long tables and indexes are CREATING, UPDATING and DELETING, by the clock that can be moved."""
    dynamodb_throttling: bool = True
    """Whether tables with provisioned capacity, or an on-demand maximum, refuse what goes beyond it."""
    dynamodb_item_collection_bytes_max: int = 10 * 1024**3
    """How large a partition of a table with local indexes may grow, these included; tests may lower it."""
    java_runtime: str = ""
    """The folder with AWS's runtime interface client for Java, for functions that do not bring it themselves."""
    nodejs_modules: str = ""
    """The folder node_modules with AWS's SDK for JavaScript, for functions that do not bring it themselves."""
    cognito_issuers: str = ""
    """Who issues the tokens of Cognito user pools, in place of AWS: us-east-1_AbCdE=http://127.0.0.1:9229/us-east-1_AbCdE,
    and more of the kind behind commas."""

    @property
    def user_pools(self) -> Mapping[str, str]:
        """The issuers of user pools by pool id, where the settings name them."""
        named = [part.strip().partition("=") for part in self.cognito_issuers.split(",") if part.strip()]
        return {pool: url.rstrip("/") for pool, _, url in named}

    @property
    def endpoint(self) -> str:
        """The URL at which this machine reaches the server."""
        host = "localhost" if self.host in ("127.0.0.1", "0.0.0.0", "::", "::1", "localhost") else self.host
        return f"http://{host}:{self.port}"

    @property
    def run_dir(self) -> Path:
        """The folder for what this process needs while it runs, and nobody needs for long afterwards."""
        folder = self.data_dir.resolve() / "run"
        return folder / f"worker-{self.worker}" if self.worker else folder


def make_settings(environ: Mapping[str, str] = os.environ, **flags: object) -> Settings:
    """Return the settings: a flag (not None) wins over `CUMULET_<NAME>`, which wins over the default.

    Raises SettingsError for a value that cannot be used, and for an address beyond loopback without strict mode: there
    developer credentials would let anyone in as root.
    """
    names = [name for name in Settings.__dataclass_fields__ if name != "worker"]
    given = {name: _given(name, flags.get(name), environ) for name in names}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    if settings.durability not in get_args(Durability):
        raise SettingsError(f"durability is fsync, os or memory, not '{settings.durability}'")
    if settings.store and not settings.store.startswith(STORE_SCHEMES):
        # Not its text: it may hold a password.
        raise SettingsError("a store is a URL that begins with postgresql://; without one, --data-dir says where")
    if not 0 <= settings.port <= 65535:
        raise SettingsError(f"a port is a number from 0 to 65535, not {settings.port}")
    if not 1 <= settings.workers <= WORKERS_MAX:
        raise SettingsError(f"workers is a number from 1 to {WORKERS_MAX}, not {settings.workers}")
    if not (len(settings.account) == 12 and settings.account.isdigit()):
        raise SettingsError(f"an account is 12 digits, not '{settings.account}'")
    for pool, url in settings.user_pools.items():
        if not pool or not url.startswith(("http://", "https://")):
            raise SettingsError(f"cognito_issuers names a pool and its issuer's URL, POOL=URL, not '{pool}={url}'")
    _check_root_key(settings)
    modules = Path(settings.nodejs_modules)
    if settings.nodejs_modules and not (modules.name == "node_modules" and modules.is_absolute() and modules.is_dir()):
        raise SettingsError(
            f"nodejs_modules is the full path of a folder node_modules, not '{settings.nodejs_modules}'"
        )
    if not is_loopback(settings.host) and not settings.strict:
        raise SettingsError(
            f"{settings.host} can be reached by others, and developer credentials would let them in as root: "
            "add --strict, with which only access keys that IAM or STS issued are accepted, or listen on 127.0.0.1"
        )
    return settings


_KEY_ID = re.compile(r"\w{3,128}", re.ASCII)
_ACCOUNT = re.compile(r"[0-9]{12}")
ROOT_SECRET_CHARACTERS_MIN = 16


def _check_root_key(settings: Settings) -> None:
    key_id, secret = settings.root_access_key_id, settings.root_secret_access_key
    if bool(key_id) != bool(secret):
        raise SettingsError("CUMULET_ROOT_ACCESS_KEY_ID and CUMULET_ROOT_SECRET_ACCESS_KEY are set both or neither")
    if key_id and (not _KEY_ID.fullmatch(key_id) or _ACCOUNT.fullmatch(key_id)):
        raise SettingsError("CUMULET_ROOT_ACCESS_KEY_ID is 3 to 128 letters, digits and _, and not an account's number")
    if secret and len(secret) < ROOT_SECRET_CHARACTERS_MIN:
        raise SettingsError(f"CUMULET_ROOT_SECRET_ACCESS_KEY has at least {ROOT_SECRET_CHARACTERS_MIN} characters")


_NUMBERS = {
    "port": "a port is a number from 0 to 65535",
    "workers": f"workers is a number from 1 to {WORKERS_MAX}",
    "dynamodb_delay_ms": "dynamodb_delay_ms is a number of milliseconds",
    "dynamodb_item_collection_bytes_max": "dynamodb_item_collection_bytes_max is a number of bytes",
}

_SWITCHES = frozenset(("strict", "dynamodb_throttling"))


def _given(name: str, flag: object, environ: Mapping[str, str]) -> object:
    value = flag if flag is not None else environ.get(f"CUMULET_{name.upper()}")
    if value is None:
        return None
    if name in _NUMBERS:
        try:
            return int(str(value))
        except ValueError:
            raise SettingsError(f"{_NUMBERS[name]}, not '{value}'") from None
    if name == "data_dir":
        return Path(str(value)).expanduser()
    if name in _SWITCHES:
        return value if isinstance(value, bool) else str(value).lower() in ("1", "true", "yes", "on")
    return value


def is_loopback(host: str) -> bool:
    """Return whether a host, by name or address, is this machine as only it sees itself."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
        # A socket for both kinds of addresses names IPv4 peers so (::ffff:127.0.0.1).
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Where the CLI finds a server, and as whom it calls."""

    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


def make_client_settings(
    environ: Mapping[str, str] = os.environ, *, endpoint: str | None = None, region: str | None = None
) -> ClientSettings:
    """Return the client's settings: flags, then the environment as AWS's own tools read it, then developer defaults."""
    key_id = environ.get("AWS_ACCESS_KEY_ID", "test")
    return ClientSettings(
        endpoint=endpoint
        or environ.get("CUMULET_ENDPOINT")
        or environ.get("AWS_ENDPOINT_URL")
        or f"http://localhost:{DEFAULT_PORT}",
        region=region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION,
        access_key_id=key_id,
        secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY", "test"),
        session_token=environ.get("AWS_SESSION_TOKEN"),
    )
