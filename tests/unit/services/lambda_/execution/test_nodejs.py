"""Node.js functions: handlers of every kind, the context object, the log, and errors as AWS words them."""

import json
import re
import shutil
from typing import Any

import pytest

from cumulet.services.lambda_.execution.sandbox.programs import find_node, left_out_of_node
from cumulet.services.lambda_.records import LayerUse
from cumulet.store import blobs

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js"),
]

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def knows_what_is_left_out(major: str) -> bool:
    """Return whether the Node.js that runs a runtime has what the runtime has not."""
    found = find_node(major)
    return found is not None and bool(left_out_of_node(int(major), found[1]))


async def nodejs(rig: Any, files: dict[str, str] | str, **fields: Any) -> Any:
    """Return a function of these files; text alone is index.js."""
    files = {"index.js": files} if isinstance(files, str) else files
    return await rig.function(
        "", files=files, **{"runtime": "nodejs20.x", "handler": "index.handler", "timeout_s": 10, **fields}
    )


def told(result: Any) -> str:
    """Return the log with what differs from run to run replaced."""
    text = re.sub(UUID, "ID", result.log_tail.decode())
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "NOW", text)


HANDLERS: list[tuple[str, dict[str, str], str, bytes]] = [
    ("async", {"index.js": "exports.handler = async (event) => ({echo: event});"}, "", b'{"echo":{"n":1}}'),
    ("callback", {"index.js": "exports.handler = (e, c, done) => setTimeout(done, 5, null, 'h\u00fc');"}, "",
     '"h\u00fc"'.encode()),
    ("promise", {"index.js": "exports.handler = () => new Promise((r) => setTimeout(r, 5, [1]));"}, "", b"[1]"),
    ("context.succeed", {"index.js": "exports.handler = (e, context) => { context.succeed(7); };"}, "", b"7"),
    ("context.done", {"index.js": "exports.handler = (e, context) => { context.done(null, 8); };"}, "", b"8"),
    ("no answer", {"index.js": "exports.handler = () => {};"}, "", b"null"),
    ("undefined", {"index.js": "exports.handler = async () => {};"}, "", b"null"),
    ("an ES module", {"index.mjs": "export const handler = async () => import.meta.url.length > 0;"}, "", b"true"),
    ("top-level await", {"index.mjs": "const n = await Promise.resolve(3);\nexport const handler = async () => n;"}, "",
     b"3"),
    ("a package of type module",
     {"package.json": '{"type":"module"}', "index.js": "export const handler = async () => 4;"}, "", b"4"),
    ("a CommonJS file", {"index.cjs": "exports.handler = async () => 5;"}, "", b"5"),
    ("a folder and a nested name", {"src/app.js": "exports.api = {get: async () => 6};"}, "src/app.api.get", b"6"),
    ("a dependency",
     {"index.js": "exports.handler = async () => require('dep').x;", "node_modules/dep/index.js": "exports.x = 9;"},
     "", b"9"),
    ("an empty loop is waited for",
     {"index.js": "exports.handler = (e, c, done) => { let n = 0; setTimeout(() => n++, 30);"
                  " const o = {toJSON: () => n}; done(null, o); };"}, "", b"1"),
    ("an empty loop is not waited for",
     {"index.js": "exports.handler = (e, c, done) => { c.callbackWaitsForEmptyEventLoop = false; let n = 0;"
                  " setTimeout(() => n++, 300); const o = {toJSON: () => n}; done(null, o); };"}, "", b"0"),
    ("bytes and streams",
     {"index.js": "exports.handler = awslambda.streamifyResponse(async (e, out) => {"
                  " out.setContentType('text/plain'); out.write('a'); out.write('b'); out.end(); });"}, "", b"ab"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "handler", "payload"), [row[1:] for row in HANDLERS], ids=[row[0] for row in HANDLERS]
)
async def test_handlers(rig: Any, files: dict[str, str], handler: str, payload: bytes) -> None:
    version = await nodejs(rig, files, handler=handler or "index.handler")
    for _ in range(2):
        result = await rig.invoke(version, b'{"n":1}')
        assert (result.payload, result.function_error) == (payload, None), told(result)


CONTEXT = """
exports.handler = async (event, context) => {
  const left = context.getRemainingTimeInMillis();
  console.log('one %d\\ntwo', 2, {a: 1});
  console.warn('careful'); console.debug('small'); console.error('bad');
  process.stdout.write('plain\\n');
  return {
    names: Object.keys(context).sort(), left: left > 0 && left <= 10000, name: context.functionName,
    arn: context.invokedFunctionArn, memory: context.memoryLimitInMB, version: context.functionVersion,
    custom: context.clientContext.custom, trace: process.env._X_AMZN_TRACE_ID, waits:
    context.callbackWaitsForEmptyEventLoop, cwd: process.cwd() === process.env.LAMBDA_TASK_ROOT,
    execution: process.env.AWS_EXECUTION_ENV, id: context.awsRequestId.length,
  };
};
"""


async def test_the_context_and_the_console(rig: Any) -> None:
    version = await nodejs(rig, "console.log('loading');" + CONTEXT)
    result = await rig.invoke(version, client_context='{"custom": {"k": "\u00fc"}}', trace_header="Root=1-2-3")
    seen = json.loads(result.payload)
    names = seen.pop("names")
    assert seen == {
        "left": True,
        "name": version.function_name,
        "arn": version.arn,
        "memory": "128",
        "version": "$LATEST",
        "custom": {"k": "\u00fc"},
        "trace": "Root=1-2-3",
        "waits": True,
        "cwd": True,
        "execution": "AWS_Lambda_nodejs20.x",
        "id": 36,
    }
    assert {"awsRequestId", "logGroupName", "logStreamName", "succeed", "fail", "done", "identity"} <= set(names)
    assert told(result).startswith(
        "NOW\tundefined\tINFO\tloading\nSTART RequestId: ID Version: $LATEST\n"
        "NOW\tID\tINFO\tone 2\ntwo { a: 1 }\nNOW\tID\tWARN\tcareful\nNOW\tID\tDEBUG\tsmall\nNOW\tID\tERROR\tbad\n"
        "plain\nEND RequestId: ID\nREPORT RequestId: ID\t"
    )


ERRORS: list[tuple[str, str, str, str, str, str]] = [
    ("an error of the handler", "exports.handler = async () => { throw new TypeError('no \u00fc'); };", "",
     "TypeError", "no \u00fc", "\tERROR\tInvoke Error \t{\"errorType\":\"TypeError\",\"errorMessage\":\"no \u00fc\""),
    ("an error to the callback", "exports.handler = (e, c, done) => done(new Error('x'));", "", "Error", "x",
     "\tERROR\tInvoke Error \t"),
    ("a text to the callback", "exports.handler = (e, c, done) => done('only words');", "", "string", "only words",
     "\tERROR\tInvoke Error \t"),
    ("an error thrown at once", "exports.handler = () => { throw new RangeError('r'); };", "", "RangeError", "r",
     "\tERROR\tInvoke Error \t"),
    ("a file that is not there", "", "app.handler", "Runtime.ImportModuleError",
     "Error: Cannot find module 'app'\nRequire stack:\n- BOOTSTRAP", "undefined\tERROR\tUncaught Exception \t"),
    ("a dependency that is not there", "require('no-such'); exports.handler = 1;", "", "Runtime.ImportModuleError",
     "Error: Cannot find module 'no-such'\nRequire stack:\n- ROOT/index.js\n- BOOTSTRAP", "Uncaught Exception"),
    ("a handler that is not there", "exports.other = 1;", "", "Runtime.HandlerNotFound",
     "index.handler is undefined or not exported", "Uncaught Exception"),
    ("a handler that is no function", "exports.handler = 1;", "", "Runtime.HandlerNotFound",
     "index.handler is not a function", "Uncaught Exception"),
    ("a syntax error", "exports.handler = async ( => {};", "", "Runtime.UserCodeSyntaxError",
     "SyntaxError: Unexpected token '=>'", "Uncaught Exception"),
    ("a name without a function", "", "index", "Runtime.MalformedHandlerName", "Bad handler", "Uncaught Exception"),
    ("a name that leaves", "", "../index.handler", "Runtime.MalformedHandlerName",
     "'../index.handler' is not a valid handler name. Use absolute paths when specifying root directories in handler "
     "names.", "Uncaught Exception"),
    ("an error while it is loaded", "throw new Error('early');", "", "Error", "early", "Uncaught Exception"),
    ("an uncaught exception", "exports.handler = (e, c, done) => setTimeout(() => { throw new Error('later'); }, 1);",
     "", "Error", "later", "\tERROR\tUncaught Exception \t"),
    ("an unhandled rejection", "exports.handler = (e, c, done) => { Promise.reject(new Error('lost')); "
     "setTimeout(done, 500); };", "", "Runtime.UnhandledPromiseRejection", "Error: lost",
     "\tERROR\tUnhandled Promise Rejection \t"),
    ("a promise that is never settled", "exports.handler = async () => new Promise(() => {});", "",
     "Runtime.NodeJsExit", "The Lambda runtime client detected an unexpected Node.js exit code.", "Invoke Error"),
    ("a stream that fails", "exports.handler = awslambda.streamifyResponse(async (e, out) => {"
     " out.write('a'); throw new Error('torn'); });", "", "Error", "torn", "Invoke Error"),
    ("a stream that nobody ends", "exports.handler = awslambda.streamifyResponse(async (e, out) => {"
     " out.write('a'); });", "", "string", "Response stream is not finished.", "Invoke Error"),
    ("a result with a cycle", "exports.handler = async () => { const o = {}; o.o = o; return o; };", "", "Error",
     "Unable to stringify response body", "Invoke Error"),
    ("a process that exits", "exports.handler = async () => process.exit(3);", "", "Runtime.ExitError",
     "RequestId: ID Error: Runtime exited with error: exit status 3", "Runtime.ExitError"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "handler", "error_type", "words", "logged"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS]
)
async def test_errors(rig: Any, code: str, handler: str, error_type: str, words: str, logged: str) -> None:
    version = await nodejs(rig, code, handler=handler or "index.handler")
    result = await rig.invoke(version)
    text = re.sub(UUID, "ID", result.payload.decode())
    text = re.sub(r'[^" ]*/(bootstrap|index)\.mjs', "BOOTSTRAP", text)
    text = text.replace(str(rig.plane._supervisor._code.folder / version.code_blob), "ROOT")
    error = json.loads(text.replace("/var/task", "ROOT"))
    assert result.function_error == "Unhandled"
    assert error["errorType"] == error_type
    assert error["errorMessage"].startswith(words)
    assert logged in told(result)
    if not error_type.startswith("Runtime.E"):
        assert set(error) == {"errorType", "errorMessage", "trace"}


async def test_an_error_does_not_cost_the_environment(rig: Any) -> None:
    version = await nodejs(
        rig, "let n = 0; exports.handler = async (e) => { n++; if (e) throw new Error('x'); return n; };"
    )
    assert (await rig.invoke(version, b"1")).function_error == "Unhandled"
    assert (await rig.invoke(version, b"0")).payload == b"2"


async def test_only_the_url_of_an_answer_leads_requests_away_from_https(rig: Any) -> None:
    code = "const https = require('https'), { request } = https;"
    version = await nodejs(rig, code + "exports.handler = async () => https.request === request;")
    for url, is_untouched in [
        ("http://example.com/charge", b"true"),
        ("http://example.com/?/_cumulet/cloudformation/answers/", b"true"),
        ("http://localhost:4566/_cumulet/cloudformation/answers/1/2", b"false"),
    ]:
        assert (await rig.invoke(version, json.dumps({"ResponseURL": url}).encode())).payload == is_untouched


async def test_after_an_uncaught_exception_another_environment_takes_over(rig: Any) -> None:
    version = await nodejs(
        rig,
        "let n = 0; exports.handler = (e, c, done) => { n++; "
        "if (e) setTimeout(() => { throw new Error('x'); }, 1); else done(null, n); };",
    )
    assert (await rig.invoke(version, b"0")).payload == b"1"
    assert (await rig.invoke(version, b"1")).function_error == "Unhandled"
    assert (await rig.invoke(version, b"0")).payload == b"1"


async def test_another_version_is_told_in_the_log(rig: Any) -> None:
    version = await nodejs(rig, "exports.handler = async (e, c) => c.logStreamName;", runtime="nodejs16.x")
    stream = json.loads((await rig.invoke(version)).payload)
    await rig.plane._supervisor._shipper.flush()
    first, second = rig.neighbours.events[stream][:2]
    assert first.startswith("INIT_START Runtime Version: nodejs:16.v")
    assert second.startswith("cumulet: nodejs16.x does not run on this machine; this environment runs on nodejs")


async def above_a_layer(rig: Any, files: dict[str, str], layer: dict[str, str]) -> Any:
    """Return a function above a layer with these files."""
    archive = rig.make_archive(layer)
    digest = await rig.store.write(lambda tx: blobs.save(tx, archive))
    use = LayerUse("arn:aws:lambda:eu-west-1:123456789012:layer:l:1", len(archive), 1, digest)
    return await nodejs(rig, files, layers=(use,))


LENT = {
    "nodejs/node_modules/@of/lent/package.json": '{"type": "module", "exports": {".": "./main.js"}}',
    "nodejs/node_modules/@of/lent/main.js": "import { more } from 'more';\nexport const word = 'lent' + more;",
    "nodejs/node_modules/more/index.mjs": "export const more = '!';",
    "nodejs/node_modules/more/package.json": '{"exports": "./index.mjs"}',
}


async def test_an_es_module_imports_from_layers(rig: Any) -> None:
    code = (
        "import { word } from '@of/lent';\nexport const handler = async (event) => event.hang ? new Promise(() => {})"
        " : [word, await import(event.name).catch((error) => error.message)];"
    )
    version = await above_a_layer(rig, {"index.mjs": code}, LENT)
    answer = await rig.invoke(version, b'{"name": "no-such"}')
    word, words = json.loads(answer.payload)
    assert (word, words.rpartition("/")[0].replace(str(rig.plane._supervisor._code.folder), "")) == (
        "lent!",
        "Cannot find package 'no-such' imported from /var/task",
    )
    assert json.loads((await rig.invoke(version, b'{"name": "@of/lent/inner"}')).payload)[1].startswith(
        "Package subpath './inner' is not defined by \"exports\""
    )
    never = await rig.invoke(version, b'{"hang": true}')  # the thread that resolves does not keep the process alive
    assert json.loads(never.payload)["errorType"] == "Runtime.NodeJsExit"


@pytest.mark.skipif(not knows_what_is_left_out("20"), reason="needs a newer Node.js")
async def test_node_20_requires_no_es_modules_unless_it_is_told_to(rig: Any) -> None:
    files = {
        "index.js": "exports.handler = async () => require('./other.mjs').word;",
        "other.mjs": "export const word = 1;",
    }
    refused = await rig.invoke(await nodejs(rig, files))
    assert "require() of ES Module" in json.loads(refused.payload)["errorMessage"]
    asked_for = {"NODE_OPTIONS": "--experimental-require-module"}
    assert (await rig.invoke(await nodejs(rig, files, environment=asked_for))).payload == b"1"
    assert (await rig.invoke(await nodejs(rig, files, runtime="nodejs24.x"))).payload == b"1"


@pytest.mark.skipif(not knows_what_is_left_out("22"), reason="needs a newer Node.js")
async def test_node_22_takes_no_es_module_for_what_does_not_say_so(rig: Any) -> None:
    code = "import fs from 'node:fs'; export const handler = async () => 1;"
    refused = json.loads((await rig.invoke(await nodejs(rig, code, runtime="nodejs22.x"))).payload)
    assert refused["errorType"] == "Runtime.UserCodeSyntaxError"
    assert refused["errorMessage"] == "SyntaxError: Cannot use import statement outside a module"
    assert (await rig.invoke(await nodejs(rig, code, runtime="nodejs24.x"))).payload == b"1"


async def test_a_package_that_no_layer_has(rig: Any) -> None:
    code = "import 'no-such'; export const handler = async () => 1;"
    failed = json.loads((await rig.invoke(await above_a_layer(rig, {"index.mjs": code}, LENT))).payload)
    assert failed["errorMessage"].startswith("Cannot find package 'no-such' imported from /")
    assert failed["trace"][0].startswith("Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'no-such'")
    assert "data:" not in "".join(failed["trace"])


@pytest.mark.parametrize("name", ["index.js", "index.mjs"])
async def test_the_log_says_where_the_sdk_may_come_from(rig: Any, name: str) -> None:
    code = {
        "index.js": "require('@aws-sdk/client-s3'); exports.handler = async () => 1;",
        "index.mjs": "import '@aws-sdk/client-s3'; export const handler = async () => 1;",
    }
    failed = await rig.invoke(await nodejs(rig, {name: code[name]}))
    words = (
        "cumulet: @aws-sdk/client-s3 is neither in the package nor in a layer, and no SDK is built in; CUMULET_NODEJS"
    )
    assert failed.log_tail.decode().startswith(words)
