"""Java functions: which JVM runs them, with what, and that one really does.

AWS's runtime interface client comes from Maven Central. Its place is taken by a class of the same name that speaks the
Runtime API, so what is tried is how a JVM is started, not AWS's client.
"""

import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cumulet.errors import NotImplementedHere
from cumulet.services.lambda_.execution.runtime_names import runtime_version
from cumulet.services.lambda_.execution.sandbox.java import (
    CLIENT,
    MAIN,
    find_java,
    has_client,
    java_command,
    java_number,
)
from cumulet.services.lambda_.execution.sandbox.programs import ask_java, substitution_note

NUMBERS = [("1.8.0_412", 8), ("17.0.15", 17), ("25", 25), ("21-ea", 0), ("", 0)]


@pytest.mark.parametrize(("version", "number"), NUMBERS)
def test_numbers(version: str, number: int) -> None:
    assert java_number(version) == number


def test_names_and_notes() -> None:
    assert runtime_version("java8.al2", "eu-west-1", "1.8.0_412")[0].startswith("java:8.al2.v")
    assert runtime_version("java17", "eu-west-1", "17.0.15")[0] == "java:17.v15"
    assert substitution_note("java8.al2", "1.8.0_412") == substitution_note("java17", "17.0.15") == ""
    assert substitution_note("java21", "17.0.15") == (
        "cumulet: java21 does not run on this machine; this environment runs on java17.0.15\n"
    )


def test_the_command() -> None:
    command = java_command("/usr/bin/java", "app.Handler::run", 1000, "/var/task", "/opt", "/var/runtime/lib")
    assert (command[0], command[1], command[-2:]) == (
        "/usr/bin/java",
        "-XX:MaxHeapSize=870400k",
        [MAIN, "app.Handler::run"],
    )
    assert command[command.index("-cp") + 1] == "/var/task:/var/task/lib/*:/opt/java/lib/*:/var/runtime/lib/*"


def test_where_the_client_may_be(tmp_path: Path) -> None:
    code, layers, libraries = tmp_path / "code", tmp_path / "layers", tmp_path / "libraries"
    for folder in (code / "lib", layers / "java" / "lib", libraries):
        folder.mkdir(parents=True)
    assert not has_client(code, layers, str(libraries))
    for place in (code / "lib", layers / "java" / "lib", libraries):
        jar = place / f"{CLIENT}-2.4.1.jar"
        jar.touch()
        assert has_client(code, layers, str(libraries))
        jar.unlink()
    exploded = code / f"{MAIN.replace('.', '/')}.class"
    exploded.parent.mkdir(parents=True)
    exploded.touch()
    assert has_client(code, None, "")


def test_the_nearest_jvm_that_can_read_the_classes() -> None:
    if (here := shutil.which("java")) is None:
        pytest.skip("needs Java")
    versions = {str(Path(here).resolve()): "17.0.1"}

    def ask(path: str) -> str:
        return versions.setdefault(path, "")

    for wanted in ("11", "17", "21"):
        found = find_java(wanted, ask)
        assert found is not None
        assert found[1] == "17.0.1"
    assert find_java("17", lambda path: "") is None
    others = list(versions)
    if len(others) > 1:
        versions[others[1]] = "25.0.1"
        assert [(find_java(wanted, ask) or ("", ""))[1] for wanted in ("11", "17", "21", "25")] == [
            *("17.0.1", "17.0.1", "25.0.1", "25.0.1"),
        ]


CLIENT_SOURCE = """
package com.amazonaws.services.lambda.runtime.api.client;
import java.io.*;
import java.net.*;
public class AWSLambda {
    public static void main(String[] arguments) throws Exception {
        String base = "http://" + System.getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/";
        for (int count = 1; ; count++) {
            HttpURLConnection next = (HttpURLConnection) new URL(base + "next").openConnection();
            String id = next.getHeaderField("Lambda-Runtime-Aws-Request-Id");
            byte[] event = next.getInputStream().readAllBytes();
            System.out.println("handling for " + arguments[0]);
            HttpURLConnection answer = (HttpURLConnection) new URL(base + id + "/response").openConnection();
            answer.setDoOutput(true);
            long heap = Runtime.getRuntime().maxMemory() >> 20;
            String text = "[" + count + "," + new String(event) + "," + (heap < 240) + "]";
            answer.getOutputStream().write(text.getBytes());
            answer.getInputStream().readAllBytes();
        }
    }
}
"""


@pytest.fixture(scope="module")
def client_jar(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A jar with a class in the place of AWS's client."""
    compiler = shutil.which("javac")
    if compiler is None or shutil.which("java") is None:
        pytest.skip("needs a JDK")
    folder = tmp_path_factory.mktemp("java")
    (folder / "AWSLambda.java").write_text(CLIENT_SOURCE)
    subprocess.run([compiler, "-d", str(folder / "out"), str(folder / "AWSLambda.java")], check=True)
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w") as opened:
        for file in (folder / "out").rglob("*.class"):
            opened.write(file, file.relative_to(folder / "out"))
    return jar.getvalue()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.slow
async def test_a_jvm_runs(rig: Any, client_jar: bytes) -> None:
    number = java_number(ask_java(shutil.which("java") or "java"))
    version = await rig.function(
        "",
        files={f"lib/{CLIENT}-0.jar": client_jar},
        runtime=f"java{number}",
        handler="app.Handler::run",
        memory_mb=256,
        timeout_s=20,
    )
    first = await rig.invoke(version, b'"a"')
    assert json.loads(first.payload) == [1, "a", True]
    assert "handling for app.Handler::run\n" in first.log_tail.decode()
    assert json.loads((await rig.invoke(version, b"2")).payload) == [2, 2, True]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.slow
async def test_without_the_client_it_is_refused_by_name(rig: Any) -> None:
    if shutil.which("java") is None:
        pytest.skip("needs Java")
    version = await rig.function("", runtime="java17")
    with pytest.raises(NotImplementedHere, match=f"Runtime java17 without {CLIENT} in the package, a layer or "):
        await rig.invoke(version)
