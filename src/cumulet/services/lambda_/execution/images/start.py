"""What an environment of a container image is started with: the image's own program, place and variables."""

import os
from pathlib import Path

from cumulet.errors import NotImplementedHere
from cumulet.scope import Scope
from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.environ import make_image_environ
from cumulet.services.lambda_.execution.logs import LogStream
from cumulet.services.lambda_.execution.preparation import Prepared
from cumulet.services.lambda_.execution.sandbox.zygote import Zygote
from cumulet.services.lambda_.execution.sessions import RoleSession
from cumulet.services.lambda_.records import VersionRecord
from cumulet.settings import Settings

BOOTSTRAPS = ("/var/runtime/bootstrap", "/var/task/bootstrap", "/opt/bootstrap")
"""What is run of an image that names no program.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html names the last two, AWS's base images the first.
"""


def prepare_image(
    scope: Scope,
    version: VersionRecord,
    stream: LogStream,
    settings: Settings,
    zygote: Zygote,
    session: RoleSession,
    root: Path,
) -> Prepared:
    """Return what an environment is started with whose files are those of an unpacked image.

    Raises NotImplementedHere where it could not be kept within them.
    """
    check_walls(zygote)
    image, own = version.image, version.image_config
    assert image is not None
    command = own.command or image.command
    program = [*(own.entry_point or image.entry_point), *command]
    return Prepared(
        zygote,
        session,
        {
            "programs": [program] if program else [[path] for path in BOOTSTRAPS],
            "folder": own.working_directory or image.working_directory,
            "image": root.name,
            "snapshot": False,
            "mounts": [],
            "opt": "/opt",
            "bytecode": [],
            "extensions": [f"/opt/extensions/{name}" for name in find_image_extensions(root)],
            "tmp_mb": version.ephemeral_storage_mb,
            "files": limits.FILE_DESCRIPTORS_MAX,
            "processes": limits.PROCESSES_MAX,
        },
        make_image_environ(
            scope,
            version,
            session,
            endpoint=settings.endpoint,
            log_group=stream.group,
            log_stream=stream.name,
            image_environ=image.environment,
            handler=command[0] if command else "",
        ),
        "",
        "",
    )


def check_walls(zygote: Zygote) -> None:
    """Raise NotImplementedHere where environments have no root of their own: what they ran would be the machine's."""
    if not zygote.isolated:
        raise NotImplementedHere(
            f"PackageType Image on a machine that permits no namespaces ({zygote.no_walls}; see `cumulet doctor`)"
        )


def find_image_extensions(root: Path) -> list[str]:
    """Return the names of the external extensions that an image brings; no link of it is followed out here."""
    folder = root
    for name in ("opt", "extensions"):
        folder /= name
        if folder.is_symlink() or not folder.is_dir():
            return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.is_dir(follow_symlinks=False))
