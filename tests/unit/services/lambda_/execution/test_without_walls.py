"""Functions on a machine that permits no namespaces: layers and extensions all the same, elsewhere than in /opt."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from cumulet.services.lambda_.records import LayerUse
from cumulet.store import blobs
from patience import until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

AGENT = f"""#!{sys.base_prefix}/bin/python{sys.version_info.major}.{sys.version_info.minor} -IS
import http.client, json, os
line = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def ask(method, path, body=None, **headers):
    line.request(method, "/2020-01-01/extension/" + path, body,
                 {{"Lambda-Extension-" + name: value for name, value in headers.items()}})
    answer = line.getresponse()
    return answer.headers, answer.read()
me = ask("POST", "register", '{{"events": ["INVOKE", "SHUTDOWN"]}}', Name="agent")[0]["Lambda-Extension-Identifier"]
while b"SHUTDOWN" not in ask("GET", "event/next", Identifier=me)[1]:
    pass
print("farewell", flush=True)
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def plain(rig: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """A plane whose functions have no walls."""
    async with type(rig).without_walls(tmp_path_factory.mktemp("plain")) as made:
        yield made


async def with_layer(rig: Any, code: str, files: dict[str, str], **fields: Any) -> tuple[Any, Path]:
    """Return a function above a layer, and where that lies."""
    archive = rig.make_archive(files, tuple(files))
    digest = await rig.store.write(lambda tx: blobs.save(tx, archive))
    layer = LayerUse("arn:aws:lambda:eu-west-1:123456789012:layer:l:1", len(archive), 1, digest)
    version = await rig.function(code, layers=(layer,), **{"timeout_s": 10, **fields})
    return version, rig.plane._supervisor._code.folder / digest


async def test_a_layer_lies_elsewhere_and_the_log_says_so(plain: Any) -> None:
    version, folder = await with_layer(
        plain,
        "import os, lent\ndef lambda_handler(e, c):\n    return [lent.word, os.environ['PATH'], c.log_stream_name]\n",
        {"python/lent.py": "word = 'lent'\n"},
    )
    word, path, stream = json.loads((await plain.invoke(version)).payload)
    assert (word, path.rpartition(":")[2]) == ("lent", f"{folder}/bin")
    await plain.plane._supervisor._shipper.flush()
    note = f"cumulet: this machine permits no namespaces; the layers are in {folder}, not in /opt\n"
    assert plain.neighbours.events[stream][1] == note


async def test_a_bootstrap_in_a_layer(plain: Any) -> None:
    shell = (
        "#!/bin/sh\nA=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation\n"
        "ID=$(curl -sS -o /dev/null -D - $A/next | grep -Fi aws-request-id | tr -d '[:space:]' | cut -d: -f2)\n"
        "curl -sS -o /dev/null -d '\"from a layer\"' $A/$ID/response\nsleep 60\n"
    )
    version, _ = await with_layer(plain, "", {"bootstrap": shell}, runtime="provided.al2023")
    assert (await plain.invoke(version)).payload == b'"from a layer"'


async def test_an_extension_without_walls(plain: Any) -> None:
    version, _ = await with_layer(
        plain, "def lambda_handler(e, c):\n    return c.log_stream_name\n", {"extensions/agent": AGENT}
    )
    stream = json.loads((await plain.invoke(version)).payload)
    (environment,) = plain.plane._supervisor._fleets[f"{version.arn}:$LATEST"].members.values()
    environment.stop()
    await until(lambda: f"{version.arn}:$LATEST" not in plain.plane._supervisor._fleets, "nothing of the fleet is left")
    await plain.plane._supervisor._shipper.flush()
    lines = plain.neighbours.events[stream]
    assert "EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE,SHUTDOWN]\n" in lines
    assert lines[-1] == "farewell\n"
    assert not Path(f"/proc/{environment._sandbox.pid}").exists()
