"""What an environment is started with: the paths of its code, its variables, its limits, and what it becomes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.scope import Scope
from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.code import find_extensions
from cumulet.services.lambda_.execution.environ import make_environ
from cumulet.services.lambda_.execution.logs import LogStream
from cumulet.services.lambda_.execution.runtime_names import runtime_version
from cumulet.services.lambda_.execution.sandbox.java import CLIENT, LIBRARIES_SEEN_AS, has_client
from cumulet.services.lambda_.execution.sandbox.programs import NODE_MODULES_SEEN_AS, Program, substitution_note
from cumulet.services.lambda_.execution.sandbox.zygote import Zygote
from cumulet.services.lambda_.execution.sessions import RoleSession
from cumulet.services.lambda_.records import VersionRecord
from cumulet.settings import Settings

BYTECODE_SEEN_AS = "/var/.bytecode"
"""Below it an environment with walls sees what is compiled, as the standard library lays out a `pycache_prefix`."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that the start of one environment takes."""

    zygote: Zygote
    session: RoleSession
    request: dict[str, Any]
    """For the fork server."""
    environ: dict[str, str]
    interpreter: str
    """The version of what runs it, e.g. 3.11.7."""
    note: str
    """What the log says of this machine, if it is not as AWS's."""

    @property
    def can_be_copied(self) -> bool:
        """Whether the initialised process may be one that can be forked: Python's own runtime, alone, within walls."""
        return self.zygote.isolated and not self.request["programs"] and not self.request["extensions"]


def seen_roots(zygote: Zygote, code: Path, layers: Path | None) -> tuple[str, str]:
    """Return where an environment sees its code, and its layers."""
    if zygote.isolated:
        return "/var/task", "/opt"
    return str(code), str(layers or "/opt")


def prepare(
    scope: Scope,
    version: VersionRecord,
    stream: LogStream,
    settings: Settings,
    program: Program,
    zygote: Zygote,
    session: RoleSession,
    code: Path,
    layers: Path | None,
    bytecode: Mapping[Path, Path],
) -> Prepared:
    """Return what an environment of a version is started with; `code` and `layers` are folders of this machine.

    `bytecode` has the folders with what Python would compile of them, as far as they are there.

    Raises NotImplementedHere if its runtime lacks something that this package has not, InvalidRuntimeException if it is
    to run on another version of its runtime than there is.
    """
    isolated = zygote.isolated
    task_root, opt_root = seen_roots(zygote, code, layers)
    mounts = [(code, task_root), *([(layers, opt_root)] if layers else [])]
    compiled = [
        (bytecode[folder], root, BYTECODE_SEEN_AS + root if isolated else str(bytecode[folder]))
        for folder, root in mounts
        if folder in bytecode
    ]
    libraries = settings.java_runtime
    if program.family == "java" and not has_client(code, layers, libraries):
        raise NotImplementedHere(
            f"Runtime {version.runtime} without {CLIENT} in the package, a layer or the folder of CUMULET_JAVA_RUNTIME"
        )
    interpreter = program.version or zygote.version
    check_pin(version, scope, interpreter)
    note = substitution_note(version.runtime, interpreter)
    if opt_root != "/opt":
        note += f"cumulet: this machine permits no namespaces; the layers are in {opt_root}, not in /opt\n"
    commands = program.commands(
        task_root,
        opt_root,
        isolated=isolated,
        handler=version.handler,
        memory_mb=version.memory_mb,
        libraries=libraries and (LIBRARIES_SEEN_AS if isolated else libraries),
        node_options=version.environment.get("NODE_OPTIONS", ""),
    )
    wrapper = version.environment.get("AWS_LAMBDA_EXEC_WRAPPER", "")
    if wrapper and program.family != "provided":
        # https://docs.aws.amazon.com/lambda/latest/dg/runtimes-modify.html#runtime-wrapper
        commands = [[wrapper, *(commands[0] if commands else program.python_command(zygote.python_path, opt_root))]]
    return Prepared(
        zygote,
        session,
        {
            "programs": commands,
            "folder": task_root,
            "image": "",
            "snapshot": False,
            "mounts": [
                *((folder.name, root) for folder, root in mounts),
                *((folder.name, place) for folder, _, place in compiled),
            ],
            "opt": opt_root,
            "bytecode": [(root, place) for _, root, place in compiled],
            "extensions": [f"{opt_root}/extensions/{name}" for name in find_extensions(layers)] if layers else [],
            "tmp_mb": version.ephemeral_storage_mb,
            "files": limits.FILE_DESCRIPTORS_MAX,
            "processes": limits.PROCESSES_MAX,
        },
        make_environ(
            scope,
            version,
            session,
            endpoint=settings.endpoint,
            log_group=stream.group,
            log_stream=stream.name,
            task_root=task_root,
            opt_root=opt_root,
            python_path=zygote.python_path,
            node_modules=NODE_MODULES_SEEN_AS if isolated else settings.nodejs_modules or NODE_MODULES_SEEN_AS,
        ),
        interpreter,
        note,
    )


def check_pin(version: VersionRecord, scope: Scope, interpreter: str) -> None:
    """Raise AWS's error if a version is to run on another version of its runtime, for ever, than is here now."""
    pinned = version.runtime_version_arn
    if pinned and pinned != runtime_version(version.runtime, scope.region, interpreter)[1]:
        # The model's words for the error, and what to do about it.
        raise ServiceError(
            "InvalidRuntimeException",
            f"The runtime or runtime version specified is not supported. {pinned} is not on this machine any more.",
            Type="Server",
        )
