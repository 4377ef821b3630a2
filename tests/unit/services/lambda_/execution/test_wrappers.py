"""Wrapper scripts: they start the runtime, with whatever they add to it."""

import json
import re
import shutil
from typing import Any

import pytest

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
