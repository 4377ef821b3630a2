"""Wrapper scripts: they start the runtime, with whatever they add to it."""

import json
import os
import re
import shutil
import sys
from typing import Any

import pytest

from cumulet.services.lambda_.records import LayerUse
from cumulet.store import blobs

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

WRAPPER = """#!/bin/bash
export ADDED="by the wrapper"
echo "wrapping $(basename "$1") $(basename "${@: -1}")"
exec "$1" {options} "${@:2}"
"""
CODE = """
import boto3, os, sys
import helper
def lambda_handler(event, context):
    return [os.environ["ADDED"], sys.dont_write_bytecode, helper.word, event, context.aws_request_id[8]]
"""


async def wrapped(rig: Any, options: str, **fields: Any) -> Any:
    return await rig.function(
        fields.pop("code", CODE),
        files={
            "wrap": WRAPPER.replace("{options}", options),
            "more/helper.py": "word = 'help'\n",
            **fields.pop("files", {}),
        },
        executable=("wrap",),
        timeout_s=20,
        memory_mb=512,
        environment={"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrap", "PYTHONPATH": "/var/runtime:/var/task/more"},
        **fields,
    )


async def test_python_is_started_by_the_wrapper(rig: Any) -> None:
    result = await rig.invoke(await wrapped(rig, "-B"), b"7")
    assert json.loads(result.payload) == ["by the wrapper", True, "help", 7, "-"]
    assert re.search(r"^wrapping python3\.\d+ bootstrap\.py\n", result.log_tail.decode())


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
async def test_nodejs_is_started_by_the_wrapper(rig: Any) -> None:
    version = await wrapped(
        rig,
        "--title=wrapped",
        files={"index.js": "exports.handler = async (event) => [process.env.ADDED, process.title, event];"},
        handler="index.handler",
        runtime="nodejs20.x",
    )
    assert json.loads((await rig.invoke(version, b"7")).payload) == ["by the wrapper", "wrapped", 7]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
async def test_a_wrapped_function_streams(rig: Any) -> None:
    code = (
        "exports.handler = awslambda.streamifyResponse(async (event, out) => { out.write('a');"
        " if (event) throw new RangeError('torn'); out.write('b'); out.end(); });"
    )
    version = await wrapped(rig, "", files={"index.js": code}, handler="index.handler", runtime="nodejs20.x")
    for event, payload in ((b"0", b"ab"), (b"0", b"ab")):
        assert (await rig.invoke(version, event)).payload == payload
    assert json.loads((await rig.invoke(version, b"1")).payload)["errorType"] == "RangeError"
    assert (await rig.invoke(version, b"0")).payload == b"ab"


async def test_a_wrapper_that_is_not_there(rig: Any) -> None:
    version = await rig.function(CODE, environment={"AWS_LAMBDA_EXEC_WRAPPER": "/opt/none"})
    error = json.loads((await rig.invoke(version)).payload)
    assert error["errorType"] == "Runtime.InvalidEntrypoint"
    assert error["errorMessage"].endswith("Error: fork/exec /opt/none: no such file or directory")


async def test_the_path_of_python_is_the_functions(rig: Any) -> None:
    version = await rig.function(
        "import boto3, helper\ndef lambda_handler(e, c): return helper.word\n",
        files={"more/helper.py": "word = 'help'\n"},
        environment={"PYTHONPATH": "/var/task/more"},
    )
    assert (await rig.invoke(version)).payload == b'"help"'


@pytest.mark.parametrize("is_wrapped", [False, True], ids=["forked", "wrapped"])
async def test_a_functions_own_modules_hide_those_of_the_runtime(rig: Any, is_wrapped: bool) -> None:
    code = """
import boto3, json, textwrap, uuid
def lambda_handler(event, context):
    return [boto3.word, uuid.word, textwrap.word, hasattr(json, "dumps")]
"""
    files = dict.fromkeys(("boto3/__init__.py", "uuid.py", "textwrap.py", "json.py"), "word = 'own'\n")
    if is_wrapped:
        version = await wrapped(rig, "-B", code=code, files=files)
    else:
        version = await rig.function(code, files=files)
    # What the runtime itself needs stays: on AWS, too, it was imported before the function's folder is looked into.
    assert json.loads((await rig.invoke(version)).payload) == ["own", "own", "own", True]


PROXY = f"""#!{sys.base_prefix}/bin/python{sys.version_info.major}.{sys.version_info.minor} -IS
import http.client, http.server, os, threading
api = os.environ["AWS_LAMBDA_RUNTIME_API"]
class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "{{protocol}}"
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        line = http.client.HTTPConnection(api)
        line.request(self.command, self.path, body or None, dict(self.headers.items()))
        answer = line.getresponse()
        told = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower().startswith("lambda-"):
                self.send_header(name, value)
        if self.protocol_version == "HTTP/1.0":
            self.end_headers()
            self.wfile.write(told)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        for piece in (told[:1], told[1:]):
            if piece:
                self.wfile.write(b"%x\\r\\n%b\\r\\n" % (len(piece), piece))
        self.wfile.write(b"0\\r\\n\\r\\n")
    do_POST = do_GET
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
with open("/tmp/port", "w") as port:
    port.write(str(server.server_port))
threading.Thread(target=server.serve_forever, daemon=True).start()
line = http.client.HTTPConnection(api)
def ask(method, path, body=None, **headers):
    line.request(method, "/2020-01-01/extension/" + path, body,
                 {{"Lambda-Extension-" + name: value for name, value in headers.items()}})
    answer = line.getresponse()
    return answer.headers, answer.read()
me = ask("POST", "register", '{{"events": []}}', Name="proxy")[0]["Lambda-Extension-Identifier"]
ask("GET", "event/next", Identifier=me)
"""
THROUGH_IT = """#!/bin/bash
export AWS_LAMBDA_RUNTIME_API="127.0.0.1:$(cat /tmp/port)"
exec "$@"
"""
PROXIED = {
    "python": (
        "python3.11",
        {
            "index.py": "class Ноль(Exception): ...\n"
            "def handler(event, context):\n"
            "    if not event['n']: raise Ноль\n"
            "    return [event, context.client_context.custom['word'].encode('utf-16-be').hex()]\n"
        },
        "Ноль",
    ),
    "nodejs": (
        "nodejs20.x",
        {
            "index.js": "exports.handler = async (event, context) => { if (!event.n) throw new RangeError('zero');"
            " return [event, Buffer.from(context.clientContext.custom.word, 'utf16le').swap16().toString('hex')]; };"
        },
        "RangeError",
    ),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs namespaces")
@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/1.0"])
@pytest.mark.parametrize(("runtime", "files", "error"), PROXIED.values(), ids=PROXIED)
async def test_an_extension_may_stand_between(
    rig: Any, runtime: str, files: dict[str, str], error: str, protocol: str
) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html: a proxy of the Runtime API."""
    if runtime.startswith("nodejs") and shutil.which("node") is None:
        pytest.skip("needs Node.js")
    layer = {"extensions/proxy": PROXY.replace("{protocol}", protocol), "through": THROUGH_IT}
    archive = rig.make_archive(layer, tuple(layer))
    digest = await rig.store.write(lambda tx: blobs.save(tx, archive))
    version = await rig.function(
        "",
        files=files,
        handler="index.handler",
        runtime=runtime,
        timeout_s=20,
        memory_mb=512,
        layers=(LayerUse("arn:aws:lambda:eu-west-1:123456789012:layer:proxy:1", len(archive), 1, digest),),
        environment={"AWS_LAMBDA_EXEC_WRAPPER": "/opt/through"},
    )
    told = {"client_context": '{"custom":{"word":"Å–Ж"}}'}
    expected = "Å–Ж".encode("utf-16-be").hex()
    for n in (1, 2):
        answer = await rig.invoke(version, b'{"n":%d}' % n, **told)
        assert json.loads(answer.payload) == [{"n": n}, expected], answer.log_tail.decode()
    failed = await rig.invoke(version, b'{"n":0}')
    assert json.loads(failed.payload)["errorType"] == error
    assert json.loads((await rig.invoke(version, b'{"n":4}', **told)).payload) == [{"n": 4}, expected]
