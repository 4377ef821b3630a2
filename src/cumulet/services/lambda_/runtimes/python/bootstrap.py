"""What runs inside a Python environment: it imports the handler, asks the Runtime API for events, and answers.

A standalone module: the fork server loads it by path, before it forks, in whatever interpreter (3.9 or newer) the
runtime's name asks for. Error texts, log lines and the context object are those of AWS's own client
(aws/aws-lambda-python-runtime-interface-client); the words about them here are ours.

An answer and the request for the next event leave in one write (HTTP pipelining), which saves a wake-up per event.
Where a wrapper script started us, which may lead elsewhere than to the server, requests go one by one.
"""

# What is imported here is imported in every environment, and Python 3.9 must be able to read it.
# ruff: noqa: BLE001, PTH112, PTH208, SIM115, UP031

from __future__ import annotations

import atexit
import builtins
import functools
import importlib
import io
import json
import logging
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from decimal import Decimal
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from typing import Any, TextIO

Handler = Callable[[Any, Any], Any]

NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n"
RECEIVE_BYTES = 65_536
FRAME_TEXT = b"\xa5\x5a\x00\x03"
FRAME_TEXT_ERROR = b"\xa5\x5a\x00\x17"
BYTECODE = "/var/.bytecode"
"""Below it lies what is compiled, if there are walls."""
NO_BREAK_SPACE = "\u00a0"

SDK = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
OWN_IMPORTS = (
    "__main__",
    "atexit",
    "codecs",
    "collections",
    "decimal",
    "enum",
    "functools",
    "importlib",
    "io",
    "json",
    "logging",
    "os",
    "re",
    "site",
    "socket",
    "string",
    "sys",
    "time",
    "traceback",
    "types",
    "typing",
    "warnings",
)


class Fault(Exception):
    """An error of the runtime's own kind, before or around the handler."""

    def __init__(self, error_type: str, message: str, trace: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.trace = list(trace)


class CognitoIdentity:
    """Who called through Cognito."""

    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self, values: dict[str, Any]) -> None:
        self.cognito_identity_id = values.get("cognitoIdentityId")
        self.cognito_identity_pool_id = values.get("cognitoIdentityPoolId")

    def __repr__(self) -> str:
        return _render(self, self.__slots__)


class Client:
    """The mobile application that called."""

    __slots__ = ("app_package_name", "app_title", "app_version_code", "app_version_name", "installation_id")

    def __init__(self, values: dict[str, Any]) -> None:
        for name in self.__slots__:
            setattr(self, name, values.get(name))

    def __repr__(self) -> str:
        return _render(self, self.__slots__)


class ClientContext:
    """What the caller said about itself."""

    __slots__ = ("client", "custom", "env")

    def __init__(self, values: dict[str, Any]) -> None:
        self.custom = values.get("custom")
        self.env = values.get("env")
        client = values.get("client")
        self.client = None if client is None else Client(client)

    def __repr__(self) -> str:
        return _render(self, ("custom", "env", "client"))


class LambdaContext:
    """The handler's second argument."""

    def __init__(
        self,
        request_id: str,
        invoked_function_arn: str | None,
        deadline_ms: int,
        client_context: ClientContext | None,
        identity: CognitoIdentity,
        of_environment: dict[str, str | None],
        tenant_id: str | None,
    ) -> None:
        self.aws_request_id = request_id
        self.__dict__.update(of_environment)
        self.invoked_function_arn = invoked_function_arn
        self.tenant_id = tenant_id
        self.client_context = client_context
        self.identity = identity
        self._deadline_ms = deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left before the invocation is ended; 0 if none are."""
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def log(self, message: object) -> None:
        """Write to the function's log."""
        sys.stdout.write(str(message))

    def __repr__(self) -> str:
        return _render(
            self,
            (
                "aws_request_id",
                "log_group_name",
                "log_stream_name",
                "function_name",
                "memory_limit_in_mb",
                "function_version",
                "invoked_function_arn",
                "client_context",
                "identity",
                "tenant_id",
            ),
        )


def _render(thing: object, names: Sequence[str]) -> str:
    return type(thing).__name__ + "([" + ",".join(f"{name}={getattr(thing, name)}" for name in names) + "])"


class RuntimeApi:
    """The Runtime API over one connection that stays open."""

    def __init__(self, address: str) -> None:
        self.connect(address)

    def connect(self, address: str) -> None:
        """Have another connection."""
        host, _, port = address.partition(":")
        # Not create_connection: a look-up, even of a number, loads the resolver's libraries.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.connect((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def next_event(self) -> tuple[dict[str, str], bytes]:
        """Return the headers (lower-case names) and the body of the next event."""
        self._socket.sendall(NEXT)
        return self._receive()

    def answer(
        self, request_id: str, outcome: bytes, body: bytes, content_type: bytes, headers: str = ""
    ) -> tuple[dict[str, str], bytes]:
        """Post the outcome of an event, and return the next one."""
        self._socket.sendall(
            b"POST /2018-06-01/runtime/invocation/%b/%b HTTP/1.1\r\nHost: runtime\r\nContent-Type: %b\r\n"
            b"Content-Length: %d\r\n%b\r\n%b%b"
            % (request_id.encode(), outcome, content_type, len(body), headers.encode(), body, NEXT)
        )
        self._receive()  # 202; or 413, and then the Runtime API has told the caller itself
        return self._receive()

    def fileno(self) -> int:
        """Return the descriptor of the connection."""
        return self._socket.fileno()

    def restore_next(self) -> None:
        """Say that the initialisation is complete, and return when there is an environment to serve."""
        self._socket.sendall(b"GET /2018-06-01/runtime/restore/next HTTP/1.1\r\nHost: runtime\r\n\r\n")
        self._receive()

    def init_error(self, error_type: str, body: bytes) -> None:
        """Post why this runtime cannot start."""
        self._socket.sendall(
            b"POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: runtime\r\n"
            b"Content-Type: application/vnd.aws.lambda.error+json\r\n"
            b"Lambda-Runtime-Function-Error-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (error_type.encode(), len(body), body)
        )
        self._receive()

    def _receive(self) -> tuple[dict[str, str], bytes]:
        data = self._received
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        headers = parse_head(data[:end])
        start, length = end + 4, int(headers["content-length"])
        if len(data) - start < length:
            parts, missing = [data[start:]], length - (len(data) - start)
            while missing > 0:
                parts.append(self._more(missing))
                missing -= len(parts[-1])
            data, start = b"".join(parts), 0
        self._received = data[start + length :]
        return headers, data[start : start + length]

    def _more(self, size: int = 0) -> bytes:
        # A buffer of more than 128 KB the C library takes from the kernel anew each time.
        data = self._socket.recv(max(RECEIVE_BYTES, min(size, 16 * RECEIVE_BYTES)))
        if not data:
            os._exit(0)  # the server is gone, and so are we
        return data


class WrappedRuntimeApi(RuntimeApi):
    """The Runtime API for a runtime that a wrapper script started: each request over a connection of its own.

    The script may have put a proxy of an extension's between, which hands a request on while the one before it is under
    way, and closes what is idle.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def next_event(self) -> tuple[dict[str, str], bytes]:
        """Return the headers (lower-case names) and the body of the next event."""
        return self._ask("GET", "invocation/next")

    def answer(
        self, request_id: str, outcome: bytes, body: bytes, content_type: bytes, headers: str = ""
    ) -> tuple[dict[str, str], bytes]:
        """Post the outcome of an event, and return the next one."""
        named = dict(line.split(": ", 1) for line in headers.splitlines())
        self._ask(
            "POST",
            f"invocation/{request_id}/{outcome.decode()}",
            body,
            {"Content-Type": content_type.decode(), **named},
        )
        return self.next_event()

    def restore_next(self) -> None:
        """Say that the initialisation is complete, and return when there is an environment to serve."""
        self._ask("GET", "restore/next")

    def init_error(self, error_type: str, body: bytes) -> None:
        """Post why this runtime cannot start."""
        kind = "application/vnd.aws.lambda.error+json"
        self._ask("POST", "init/error", body, {"Content-Type": kind, "Lambda-Runtime-Function-Error-Type": error_type})

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[dict[str, str], bytes]:
        connection = HTTPConnection(self._address)
        # Names of errors and clients' contexts may have any characters.
        sent = {name: value.encode() for name, value in (headers or {}).items()}
        connection.request(method, f"/2018-06-01/runtime/{path}", body, sent)
        response = connection.getresponse()
        told = response.read()
        connection.close()
        if method == "GET" and response.status != 200:
            raise Fault("Runtime.Unknown", f"The Runtime API has no next event: {told.decode(errors='replace')}")
        return {name.lower(): value.encode("latin-1").decode() for name, value in response.getheaders()}, told


@functools.lru_cache(maxsize=2)
def parse_head(head: bytes) -> dict[str, str]:
    """Return a response's headers, with names in lower case; every second one is what answers are answered with."""
    headers = {}
    for line in head.decode().split("\r\n")[1:]:
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    return headers


class Encoder(json.JSONEncoder):
    """Results as JSON: decimals are numbers with all their digits."""

    def __init__(self) -> None:
        # The runtimes from 3.12 on write UTF-8, the older ones escape.
        newer = int(os.environ.get("AWS_EXECUTION_ENV", "python3.0").rpartition(".")[2]) >= 12
        super().__init__(ensure_ascii=not newer)
        self._decimals: list[str] = []

    def default(self, value: Any) -> Any:
        if not isinstance(value, Decimal):
            return super().default(value)
        if value.is_nan():
            return float("nan")
        self._decimals.append(str(value))
        return f"\ue000{len(self._decimals) - 1}\ue001"

    def encode(self, value: Any) -> str:
        text = super().encode(value)
        if self._decimals:
            opening, closing = ("\ue000", "\ue001") if not self.ensure_ascii else ("\\ue000", "\\ue001")
            for number, decimal in enumerate(self._decimals):
                text = text.replace(f'"{opening}{number}{closing}"', decimal, 1)
            self._decimals.clear()
        return text


class LogHandler(logging.Handler):
    """Sends each record as one frame, so that one of many lines stays one log event."""

    def emit(self, record: logging.LogRecord) -> None:
        write_frame(self.format(record))


class _UnderWay(logging.Filter):
    """Tells every record which invocation it belongs to."""

    request_id = ""
    tenant_id: str | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = _UnderWay.request_id
        record.tenant_id = _UnderWay.tenant_id
        return True


def write_frame(text: str, kind: bytes = FRAME_TEXT) -> None:
    """Write one log event: type, length, microseconds, text (the framing of AWS's telemetry descriptor)."""
    sys.stdout.flush()
    data = text.encode("utf-8", "replace")
    data = kind + len(data).to_bytes(4, "big") + int(time.time() * 1_000_000).to_bytes(8, "big") + data
    while data:
        data = data[os.write(1, data) :]


class JsonFormatter(logging.Formatter):
    """A record as the JSON object that AWS makes of it."""

    OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "aws_request_id", "tenant_id"}

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[0] is not None:
            entry["stackTrace"] = [
                line for part in traceback.format_tb(record.exc_info[2]) for line in part.rstrip().split("\n")
            ]
            entry["errorType"] = record.exc_info[0].__name__
            entry["errorMessage"] = str(record.exc_info[1])
            entry["location"] = "%s:%s:%d" % (record.pathname, record.funcName, record.lineno)
        if _UnderWay.request_id:
            entry["requestId"] = _UnderWay.request_id
        if _UnderWay.tenant_id:
            entry["tenantId"] = _UnderWay.tenant_id
        for name, value in vars(record).items():
            if name not in self.OWN and name not in entry:
                entry[name] = value
        return json.dumps(entry, ensure_ascii=False, default=str) + "\n"


def logs_json() -> bool:
    """Tell whether the function's log format is JSON."""
    return os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON"


def set_up_logging() -> None:
    """Give the root logger the handler and format that AWS gives it."""
    logging.Formatter.converter = time.gmtime
    handler = LogHandler()
    root = logging.getLogger()
    if logs_json():
        handler.setFormatter(JsonFormatter())
        level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "INFO")
        root.setLevel({"TRACE": logging.DEBUG, "FATAL": logging.CRITICAL}.get(level, level))
    else:
        handler.setFormatter(
            logging.Formatter(
                "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n", "%Y-%m-%dT%H:%M:%S"
            )
        )
    handler.addFilter(_UnderWay())
    root.handlers[:] = [handler]


def load_handler(name: str) -> Handler:
    """Return the function that `module.path.function` names. Raises Fault in AWS's words."""
    try:
        module_name, function_name = name.rsplit(".", 1)
    except ValueError as wrong:
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{name}': {wrong}") from None
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault("Runtime.BuiltInModuleConflict", f"Cannot use built-in module {module_name} as a handler module")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as wrong:
        raise Fault("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {wrong}") from None
    except SyntaxError as wrong:
        place = f'  File "{wrong.filename}" Line {wrong.lineno}\n    {wrong.text}'
        raise Fault(
            "Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {wrong}", [place]
        ) from None
    try:
        handler: Handler = getattr(module, function_name)
    except AttributeError:
        raise Fault("Runtime.HandlerNotFound", f"Handler '{function_name}' missing on module '{module_name}'") from None
    return handler


def error_of(failure: BaseException, request_id: str = "") -> dict[str, Any]:
    """Return the error object for an exception."""
    if isinstance(failure, Fault):
        error_type, trace = failure.error_type, failure.trace
    else:
        error_type, trace = type(failure).__name__, stack_trace(failure)
    return {"errorMessage": str(failure), "errorType": error_type, "requestId": request_id, "stackTrace": trace}


def stack_trace(failure: BaseException) -> list[str]:
    """Return the formatted frames of an exception, without those of this file around the function's code."""
    frames = traceback.extract_tb(failure.__traceback__)
    shown = [frame for frame in frames if frame.filename != __file__] or frames
    # As plain tuples they are formatted without the column marks of newer Pythons, as AWS has it.
    return traceback.format_list([(frame.filename, frame.lineno or 0, frame.name, frame.line) for frame in shown])


def log_error(error: dict[str, Any]) -> None:
    """Write an error object to the log, as one event."""
    if logs_json():
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        write_frame(json.dumps({"timestamp": moment, "log_level": "ERROR", **error}) + "\n", FRAME_TEXT_ERROR)
        return
    lines = [
        f"[ERROR] {error['errorType']}: {error['errorMessage']}"
        if error["errorMessage"]
        else f"[ERROR] {error['errorType']}"
    ]
    lines.append("Traceback (most recent call last):")
    for element in error["stackTrace"]:
        for line in element.splitlines():
            text = line.lstrip(" ")
            lines.append(NO_BREAK_SPACE * (len(line) - len(text)) + text)
    write_frame("\n".join(lines), FRAME_TEXT_ERROR)


def describe_environment() -> dict[str, str | None]:
    """Return what every context says of the environment; a look into `os.environ` takes a microsecond each."""
    named = (
        ("log_group_name", "AWS_LAMBDA_LOG_GROUP_NAME"),
        ("log_stream_name", "AWS_LAMBDA_LOG_STREAM_NAME"),
        ("function_name", "AWS_LAMBDA_FUNCTION_NAME"),
        ("memory_limit_in_mb", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
        ("function_version", "AWS_LAMBDA_FUNCTION_VERSION"),
    )
    return {name: os.environ.get(variable) for name, variable in named}


def parse_context(headers: dict[str, str], of_environment: dict[str, str | None]) -> LambdaContext:
    """Return the context object of an event."""
    client_context = identity = None
    if text := headers.get("lambda-runtime-client-context"):
        client_context = ClientContext(_parse_header(text, "Client Context"))
    if text := headers.get("lambda-runtime-cognito-identity"):
        identity = _parse_header(text, "Cognito Identity")
    return LambdaContext(
        headers["lambda-runtime-aws-request-id"],
        headers.get("lambda-runtime-invoked-function-arn"),
        int(headers["lambda-runtime-deadline-ms"]),
        client_context,
        CognitoIdentity(identity or {}),
        of_environment,
        headers.get("lambda-runtime-aws-tenant-id"),
    )


def _parse_header(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as wrong:
        raise Fault("Runtime.LambdaContextUnmarshalError", f"Unable to parse {name} JSON: {wrong}") from None


def serve(api: RuntimeApi, handler: Handler) -> None:
    """Answer events for ever."""
    encoder, of_environment = Encoder(), describe_environment()
    headers, body = api.next_event()
    while True:
        request_id = _UnderWay.request_id = headers["lambda-runtime-aws-request-id"]
        _UnderWay.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        if trace_id := headers.get("lambda-runtime-trace-id"):
            os.environ["_X_AMZN_TRACE_ID"] = trace_id
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        try:
            answer = handle(handler, encoder, parse_context(headers, of_environment), body)
        except Exception as failure:  # whatever a handler raises is its answer, not our failure
            error = error_of(failure, request_id)
            log_error(error)
            answer = None
        if answer is None:
            extra = f"Lambda-Runtime-Function-Error-Type: {error['errorType']}\r\n"
            headers, body = api.answer(
                request_id, b"error", encoder.encode(error).encode(), b"application/vnd.aws.lambda.error+json", extra
            )
        else:
            headers, body = api.answer(request_id, b"response", *answer)


def handle(handler: Handler, encoder: Encoder, context: LambdaContext, body: bytes) -> tuple[bytes, bytes]:
    """Return the handler's answer as bytes, and their content type."""
    try:
        event = json.loads(body.decode())
    except ValueError as wrong:
        raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {wrong}") from None
    result = handler(event, context)
    if isinstance(result, bytes):
        return result, b"application/unknown"
    try:
        return encoder.encode(result).encode(), b"application/json"
    except Exception as wrong:  # an object's own methods run in here
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {wrong}") from None


LOADED: dict[str, list[str]] = {}
"""The names of modules that were imported before the fork, by their first part."""


def note_loaded() -> None:
    """Note what has been imported. A look at all names after the fork would copy a page for nearly each of them."""
    for name in sys.modules:
        LOADED.setdefault(name.partition(".")[0], []).append(name)


def unload_shadowed(folders: Sequence[str]) -> None:
    """Forget the modules imported before the fork that the function brings itself, as boto3 of another version.

    They would hide the function's own: in AWS's runtime a fresh import finds /var/task first.
    """
    brought: set[str] = set()
    for folder in folders:
        if os.path.isdir(folder):
            brought.update(name.partition(".")[0] for name in os.listdir(folder))
    if not brought.isdisjoint(SDK):
        brought.update(SDK)
    brought.difference_update(OWN_IMPORTS, sys.builtin_module_names)
    for top in brought:
        for name in LOADED.get(top, ()):
            sys.modules.pop(name, None)


def read_bytecode(root: str, folder: str) -> None:
    """Have modules below `root` loaded from the bytecode in `folder`, where there is some; it lies as if beside them.

    To whoever looks they are modules from source: only where their bytecode is read from is ours. Not the prefix that
    Python has for this, which holds for all modules, the standard library's and those in /tmp too.
    """

    class Loader(SourceFileLoader):
        def get_data(self, path: str) -> bytes:
            if path.endswith(".pyc") and path.startswith(root):
                try:
                    return super().get_data(folder + path[len(root) :])
                except OSError:
                    pass  # it is the package's own, or is compiled
            return super().get_data(path)

    find = FileFinder.path_hook(
        (ExtensionFileLoader, EXTENSION_SUFFIXES), (Loader, SOURCE_SUFFIXES), (SourcelessFileLoader, BYTECODE_SUFFIXES)
    )

    def hook(path: str) -> Any:
        if path == root or path.startswith(root + "/"):
            return find(path)
        raise ImportError

    sys.path_hooks.insert(0, hook)


def unbuffered(descriptor: int) -> io.TextIOWrapper:
    """Return a text stream of which nothing stays behind in the process."""
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


def print_by_one_write(stdout: TextIO) -> Callable[..., None]:
    """Return a `print` that writes a line at once; Python's own takes a write for each value, space and line's end.

    Each would wake whoever reads the log. What has options, or goes elsewhere, is left to Python's own.
    """
    plain = builtins.print

    @functools.wraps(plain)
    def whole(*values: Any, **options: Any) -> None:
        if options or sys.stdout is not stdout:
            plain(*values, **options)
        else:
            stdout.write(" ".join(map(str, values)) + "\n")

    return whole


def main(
    task_root: str,
    opt_root: str,
    bytecode: Sequence[tuple[str, str]] = (),
    snapshot: Any = None,
    api: type[RuntimeApi] = RuntimeApi,
) -> None:
    """Be the runtime: never returns.

    Of `bytecode` see `read_bytecode`. A `snapshot` is what is to be made of this process.
    """
    time.tzset()
    sys.stdin = open(0, closefd=False)
    sys.stdout, sys.stderr = unbuffered(1), unbuffered(2)
    builtins.print = print_by_one_write(sys.stdout)
    sys.argv = [""]
    folders = [
        task_root,
        "%s/python/lib/python%d.%d/site-packages" % (opt_root, *sys.version_info[:2]),
        "%s/python" % opt_root,
    ]
    # An interpreter reads this variable when it starts, and a fork has started before.
    folders += [path for path in os.environ.get("PYTHONPATH", "").split(":") if path and path not in sys.path]
    sys.path[:0] = folders
    for root, folder in bytecode:
        read_bytecode(root, folder)
    unload_shadowed(folders)
    set_up_logging()
    try:
        run(api(os.environ["AWS_LAMBDA_RUNTIME_API"]), snapshot)
    except SystemExit as leaving:
        leave(leaving.code)
    except BaseException:  # the edge of the process: what an interpreter does with it, we do
        traceback.print_exc()
        leave(1)


def run(api: RuntimeApi, snapshot: Any) -> None:
    """Load the handler and serve."""
    try:
        handler = load_handler(os.environ["_HANDLER"])
        if os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start":
            pass_snapshot(api, snapshot)
    except Exception as failure:  # whatever a module raises while it is imported is the function's
        error = error_of(failure)
        log_error(error)
        api.init_error(error["errorType"], Encoder().encode(error).encode())
        sys.exit(1)
    serve(api, handler)


def pass_snapshot(api: RuntimeApi, snapshot: Any) -> None:
    """Run the hooks of the function's around the moment at which the snapshot is taken, and restored."""
    hooks = sys.modules.get("snapshot_restore_py")
    try:
        for function, args, kwargs in reversed(hooks.get_before_snapshot() if hooks else ()):
            function(*args, **kwargs)
    except Exception as failure:  # whatever a hook raises is the function's
        raise Fault("Runtime.BeforeSnapshotError", str(failure), stack_trace(failure)) from failure
    if snapshot is not None and snapshot.is_taken(api.fileno()):
        api.connect(os.environ["AWS_LAMBDA_RUNTIME_API"])
    else:
        api.restore_next()
    try:
        for function, args, kwargs in hooks.get_after_restore() if hooks else ():
            function(*args, **kwargs)
    except Exception as failure:
        raise Fault("Runtime.AfterRestoreError", str(failure), stack_trace(failure)) from failure


def leave(code: object) -> None:
    """End this process as `sys.exit(code)` ends an interpreter."""
    if code is not None and not isinstance(code, int):
        sys.stderr.write(f"{code}\n")
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(0 if code is None else code & 255 if isinstance(code, int) else 1)


if __name__ == "__main__":  # a wrapper script has started an interpreter of its own
    from http.client import HTTPConnection

    note_loaded()
    main(
        os.environ["LAMBDA_TASK_ROOT"],
        sys.argv[1] if len(sys.argv) > 1 else "/opt",
        # AWS's example of such a script adds options before the last argument: it must be the name of this file.
        [(root, BYTECODE + root) for root in ("/var/task", "/opt") if os.path.isdir(BYTECODE + root)],
        api=WrappedRuntimeApi,
    )
