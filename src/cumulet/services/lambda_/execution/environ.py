"""The environment variables inside an environment, as AWS sets them. Nothing of the server's own is among them.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
"""

from collections.abc import Mapping

from cumulet.scope import Scope
from cumulet.services.lambda_.execution.sessions import RoleSession
from cumulet.services.lambda_.records import VersionRecord

XRAY_HOST, XRAY_PORT = "127.0.0.1", "2000"
"""Where a daemon of X-Ray listens, if somebody runs one: what nobody hears is lost, as with AWS's tracing off."""
_XRAY = {
    "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    "AWS_XRAY_DAEMON_ADDRESS": f"{XRAY_HOST}:{XRAY_PORT}",
    "_AWS_XRAY_DAEMON_ADDRESS": XRAY_HOST,
    "_AWS_XRAY_DAEMON_PORT": XRAY_PORT,
}


def make_environ(
    scope: Scope,
    version: VersionRecord,
    session: RoleSession,
    *,
    endpoint: str,
    log_group: str,
    log_stream: str,
    task_root: str,
    opt_root: str,
    python_path: str,
    node_modules: str,
) -> dict[str, str]:
    """Return the variables: the function's own may replace the SDK's endpoint, not what Lambda reserves."""
    runtime = version.runtime
    of_runtime = {}
    if runtime.startswith("python"):
        of_runtime["PYTHONPATH"] = python_path
    elif runtime.startswith("nodejs"):
        major = runtime.removeprefix("nodejs").partition(".")[0]
        of_runtime["NODE_PATH"] = (
            f"{opt_root}/nodejs/node{major}/node_modules:{opt_root}/nodejs/node_modules:{node_modules}:"
            f"/var/runtime:{task_root}"
        )
    # AWS: "not defined for functions that use the OS-only runtimes".
    named = {} if runtime.startswith("provided.") else {"AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime}"}
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PATH": f"/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:{opt_root}/bin",
        "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:"
        f"{task_root}:{task_root}/lib:{opt_root}/lib",
        **of_runtime,
        **_XRAY,
        "SHLVL": "0",
        "PWD": task_root,
        **version.environment,
        "_HANDLER": version.handler,
        **named,
        **_reserved(scope, version, session, log_group, log_stream),
        "LAMBDA_TASK_ROOT": task_root,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
    }


def make_image_environ(
    scope: Scope,
    version: VersionRecord,
    session: RoleSession,
    *,
    endpoint: str,
    log_group: str,
    log_stream: str,
    image_environ: Mapping[str, str],
    handler: str,
) -> dict[str, str]:
    """Return the variables in an environment of a container image: those of the image, then the function's own.

    The handler is the first word of the image's command, as AWS's own images understand it.
    """
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "TZ": ":UTC",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        **_XRAY,
        **image_environ,
        **version.environment,
        **({"_HANDLER": handler} if handler else {}),
        "AWS_EXECUTION_ENV": "AWS_Lambda_Image",
        **_reserved(scope, version, session, log_group, log_stream),
    }


def _reserved(
    scope: Scope, version: VersionRecord, session: RoleSession, log_group: str, log_stream: str
) -> dict[str, str]:
    """Return what every environment has, whatever the function says."""
    logging = {}
    if version.log_format == "JSON":
        logging = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": version.application_log_level}
    return {
        "AWS_REGION": scope.region,
        "AWS_DEFAULT_REGION": scope.region,
        **logging,
        "AWS_LAMBDA_FUNCTION_NAME": version.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": version.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_ACCESS_KEY_ID": session.access_key_id,
        "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
        "AWS_SESSION_TOKEN": session.session_token,
    }
