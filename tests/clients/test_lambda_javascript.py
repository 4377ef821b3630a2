"""AWS's SDK for JavaScript against Lambda, DynamoDB and CloudWatch Logs; and inside a function, from its package."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions import Functions, packed
from running import ROOT, Server

MODULES = ROOT / "node_modules"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js"),
]
HANDLER = """
export const handler = awslambda.streamifyResponse(async (event, out) => {
  if (!event?.pieces) {
    console.log(`greeted ${event?.name}`);
    out.write(JSON.stringify({ said: `${process.env.GREETING} ${event?.name}` }));
    out.end();
    return;
  }
  for (let n = 0; n < event.pieces; n++) {
    out.write(`piece ${n}`);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  if (event.fail) throw new RangeError('torn');
  out.end();
});
"""
INSIDE = """
import { DynamoDBClient, ListTablesCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
const dynamodb = new DynamoDBClient();
export const handler = async (event) => {
  try {
    await dynamodb.send(new PutItemCommand({ TableName: 'other', Item: { pk: { S: 'a' } } }));
  } catch (error) {
    return [(await dynamodb.send(new ListTablesCommand())).TableNames, error.name];
  }
};
"""
LIST_TABLES = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "dynamodb:ListTables", "Resource": "*"}],
}


@pytest.fixture(scope="module")
def functions(server: Server) -> Iterator[Functions]:
    assert (MODULES / "@aws-sdk" / "client-lambda").exists(), "run `make test`, which installs the SDK"
    with Functions(server, "lambda-js", LIST_TABLES) as made:
        yield made


def test_an_application(server: Server, functions: Functions, tmp_path: Path) -> None:
    archive = tmp_path / "function.zip"
    archive.write_bytes(packed({"index.mjs": HANDLER}))
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("lambda_sdk.mjs")), "js-app", functions.role, str(archive)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=server.environ() | {"AWS_REGION": "us-east-1"},
    )
    assert done.returncode == 0, done.stderr
    saw = json.loads(done.stdout)
    details = json.loads(saw["broken"][1])
    assert (saw.pop("broken")[0], details["errorMessage"]) == ("RangeError", "torn")
    assert saw == {
        "payload": '{"said":"hello Ann"}',
        "tail": True,
        "stream": {
            "type": "application/vnd.amazon.eventstream",
            "status": 200,
            "pieces": ["piece 0", "piece 1", "piece 2"],
            "log": True,
        },
        "missing": ["ResourceNotFoundException", 404, True],
        "invalid": ["InvalidRequestContentException", 400, True],
        "alias": "1",
        "versions": ["$LATEST", "1"],
        "item": [[0, 1, 255], ["1", "2"]],
        "cancelled": ["TransactionCanceledException", ["ConditionalCheckFailed"]],
        "count": 1,
        "logged": ["greeted Ann"],
    }


def test_inside_a_function_it_has_the_roles_rights(functions: Functions, tmp_path: Path) -> None:
    """The packages lie in the function's own, as they do when somebody ran npm install in its folder."""
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "index.js").write_text(INSIDE)
    for package in needed("@aws-sdk/client-dynamodb"):
        shutil.copytree(package, tmp_path / package.relative_to(ROOT), ignore=shutil.ignore_patterns("dist-types"))
    name = functions.make(packed({}, tmp_path), "nodejs20.x", "index.handler", MemorySize=256)
    tables, refusal = functions.invoke(name)
    assert (type(tables), refusal) == (list, "AccessDeniedException")


def needed(*names: str) -> set[Path]:
    """Return the folders of packages and of all that they need, as they lie in node_modules."""
    found: set[Path] = set()
    waiting = [MODULES / name for name in names]
    while waiting:
        package = waiting.pop()
        if package in found or not package.is_dir():
            continue
        found.add(package)
        wanted = json.loads((package / "package.json").read_text()).get("dependencies", {})
        waiting += [MODULES / name for name in wanted]
    return found
