"""What is made of folders whose code does not run as it lies there."""

import json
import shutil
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cumulet.cli.builds import build, files_of, order_of
from cumulet.cli.console import CliError

FUNCTION, LAYER = "AWS::Serverless::Function", "AWS::Serverless::LayerVersion"
NODE = {"Runtime": "nodejs20.x"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__" / "app.pyc").write_bytes(b"x")
    (folder / "app.txt").write_text("as it lies there")
    return folder


def built(source: Path, kind: str, metadata: Any, properties: Mapping[str, Any] = {}) -> dict[str, str]:
    """Return the files of the archive, by their names."""
    order = order_of("Hello", {"Type": kind, "Metadata": metadata}, properties, source)
    folders = build(order, source.parent / "scratch")
    return {name: path.read_text() for folder in folders for name, path in files_of(folder)}


def tool(folder: Path, name: str, script: str) -> Path:
    """Write a program."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize(
    ("metadata", "properties"),
    [
        (None, NODE),
        (None, {"Runtime": "provided.al2023"}),
        (None, {"Runtime": "java21"}),
        ({"SkipBuild": True, "BuildMethod": "makefile"}, NODE),
        ({"SkipBuild": "true", "BuildMethod": "go1.x"}, {"Runtime": "provided.al2023"}),
    ],
)
def test_what_is_taken_as_it_lies_there(source: Path, metadata: Any, properties: Mapping[str, Any]) -> None:
    assert built(source, FUNCTION, metadata, properties) == {"app.txt": "as it lies there"}


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("kind", [FUNCTION, LAYER])
def test_a_makefile_makes_the_archive(source: Path, kind: str) -> None:
    rule = 'build-Hello:\n\techo made > "$(ARTIFACTS_DIR)/made.txt"\n\ttouch here\n'
    (source / "Makefile").write_text(rule)
    assert built(source, kind, {"BuildMethod": "makefile"}, NODE) == {"made.txt": "made\n"}
    assert not (source / "here").exists(), "it works on a copy"


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_what_make_says_is_told(source: Path) -> None:
    (source / "Makefile").write_text("build-Other:\n\ttrue\n")
    with pytest.raises(CliError, match=r"the files of Hello could not be made:\n.*build-Hello"):
        built(source, FUNCTION, {"BuildMethod": "makefile"})


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An npm that installs what it was asked, in words."""
    tool(tmp_path / "bin", "npm", 'mkdir -p node_modules && echo "$@" > node_modules/asked')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")


@pytest.mark.usefixtures("npm")
@pytest.mark.parametrize(
    ("kind", "metadata", "folder"), [(FUNCTION, None, ""), (LAYER, {"BuildMethod": "nodejs20.x"}, "nodejs/")]
)
def test_packages_of_nodejs_are_installed(source: Path, kind: str, metadata: Any, folder: str) -> None:
    (source / "package.json").write_text(json.dumps({"dependencies": {"left-pad": "1"}}))
    (source / "package-lock.json").write_text("{}")
    files = built(source, kind, metadata, NODE)
    assert files[f"{folder}node_modules/asked"] == "ci --no-audit --no-fund --loglevel=error --omit=dev\n"
    assert files[f"{folder}app.txt"] == "as it lies there"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")
def test_scripts_and_packages_of_its_own_have_the_whole_package(source: Path) -> None:
    (source / "local").mkdir()
    (source / "local" / "package.json").write_text('{"name": "local", "version": "1.0.0"}')
    (source / "post.js").write_text("require('fs').writeFileSync('made.txt', 'by a script')")
    package = {"dependencies": {"local": "file:./local"}, "scripts": {"postinstall": "node post.js"}}
    (source / "package.json").write_text(json.dumps(package))
    files = built(source, FUNCTION, None, NODE)
    assert files["made.txt"] == "by a script"
    assert files["node_modules/local/package.json"] == files["local/package.json"]
    assert not (source / "made.txt").exists()


@pytest.mark.usefixtures("npm")
def test_packages_from_elsewhere_are_the_users_to_install(source: Path) -> None:
    (source / "package.json").write_text(json.dumps({"dependencies": {"other": "file:../other"}}))
    with pytest.raises(CliError, match=r"Hello needs other from file:\.\./other: run `npm install` in .*source first"):
        built(source, FUNCTION, None, NODE)


@pytest.mark.usefixtures("npm")
@pytest.mark.parametrize("package", [{}, {"devDependencies": {"jest": "1"}}])
def test_what_needs_no_packages_gets_none(source: Path, package: dict[str, Any]) -> None:
    (source / "package.json").write_text(json.dumps(package))
    assert set(built(source, FUNCTION, None, NODE)) == {"app.txt", "package.json"}


@pytest.mark.usefixtures("npm")
def test_packages_that_are_there_are_taken(source: Path) -> None:
    (source / "package.json").write_text(json.dumps({"dependencies": {"left-pad": "1"}}))
    (source / "node_modules").mkdir()
    (source / "node_modules" / "own.js").write_text("")
    assert set(built(source, FUNCTION, None, NODE)) == {"app.txt", "package.json", "node_modules/own.js"}


def test_a_layer_without_a_method_is_taken_as_it_is(source: Path) -> None:
    (source / "requirements.txt").write_text("no-such-distribution-anywhere==0\n")
    (source / "package.json").write_text(json.dumps({"dependencies": {"left-pad": "1"}}))
    assert set(built(source, LAYER, None)) == {"app.txt", "package.json", "requirements.txt"}


def test_a_layer_of_python_has_a_folder_for_it(source: Path) -> None:
    assert built(source, LAYER, {"BuildMethod": "python3.12"}) == {"python/app.txt": "as it lies there"}


def test_esbuild_bundles_what_the_template_names(source: Path) -> None:
    script = 'for o; do case "$o" in --outdir=*) out=${o#--outdir=};; esac; done; echo "$@" > "$out/app.js"'
    tool(source, "node_modules/.bin/esbuild", script)
    properties = {"EntryPoints": "app.ts", "Minify": False, "Sourcemap": "true", "External": ["@aws-sdk/*", "pg"]}
    options = {"Format": "esm", "OutExtension": [".js=.mjs"], "MainFields": "module,main"}
    files = built(source, FUNCTION, {"BuildMethod": "esbuild", "BuildProperties": properties | options}, NODE)
    assert files == {
        "app.js": f"app.ts --bundle --platform=node --outdir={source.parent}/scratch/archive --sourcemap --format=esm "
        "--target=es2020 --main-fields=module,main --external:@aws-sdk/* --external:pg --out-extension:.js=.mjs\n"
    }


@pytest.mark.parametrize(
    ("method", "properties", "words"),
    [
        ("esbuild", {}, r"Hello is built by esbuild: install it \(`npm install --save-dev esbuild`\)"),
        ("esbuild", {"Splitting": True}, "Hello is built with Splitting, which is not built in: run `sam build`"),
        ("rust-cargolambda", {}, "the BuildMethod rust-cargolambda of Hello is not built in: run `sam build`"),
        ("nodejs20.x", {"Minify": True, 1: 2}, "Hello is built with 1, Minify, which is not built in"),
        ("esbuild", {"EntryPoints": {"a": "b"}}, "EntryPoints of Hello is no list of texts"),
        ("esbuild", {"External": ["pg", {"Ref": "X"}]}, "External of Hello is no list of texts"),
        ("go1.x", {}, "the BuildMethod go1.x of Hello is not built in: run `sam build`, and deploy .aws-sam/build"),
    ],
)
def test_what_is_not_built(
    source: Path, monkeypatch: pytest.MonkeyPatch, method: str, properties: dict[str, Any], words: str
) -> None:
    monkeypatch.setenv("PATH", str(source))
    if "EntryPoints" in properties or "External" in properties:
        tool(source, "esbuild", "exit 1")
    with pytest.raises(CliError, match=words):
        built(source, FUNCTION, {"BuildMethod": method, "BuildProperties": properties}, NODE)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_a_folder_with_nothing_to_build(source: Path) -> None:
    shutil.rmtree(source)
    source.mkdir()
    with pytest.raises(CliError, match="the files of Hello could not be made"):
        built(source, FUNCTION, {"BuildMethod": "makefile"}, NODE)


def test_a_makefile_lies_and_works_where_the_code_does(source: Path) -> None:
    with pytest.raises(CliError, match="Hello is built with ContextPath, WorkingDirectory, which is not built in"):
        built(source, FUNCTION, {"BuildMethod": "makefile", "WorkingDirectory": "..", "ContextPath": "x"})


def test_a_python_that_is_none(source: Path) -> None:
    (source / "requirements.txt").write_text("six\n")
    with pytest.raises(CliError, match=r"Hello is to be built for python3\.x, which is no Python"):
        built(source, FUNCTION, None, {"Runtime": "python3.x"})


@pytest.mark.slow
def test_requirements_may_lie_elsewhere_and_modules_be_named_as_those_of_pip(source: Path) -> None:
    (source / "pip.py").write_text("raise SystemExit('the function has run')")
    (source / "requirements.txt").write_text("-r more.txt\n")
    (source / "more.txt").write_text("./no-such-folder\n")
    with pytest.raises(CliError, match=r"the requirements of Hello could not be made:\n.*no-such-folder"):
        built(source, FUNCTION, None, {"Runtime": f"python3.{sys.version_info.minor}"})


def test_links_are_what_they_lead_to(source: Path) -> None:
    shared = source.parent / "shared"
    (shared / "inner").mkdir(parents=True)
    (shared / "inner" / "word.txt").write_text("shared")
    (shared / "around").symlink_to(shared)
    (source / "linked").symlink_to(shared)
    (source / "word.txt").symlink_to(shared / "inner" / "word.txt")
    (source / "nowhere").symlink_to(source / "none")
    expected = {"app.txt": "as it lies there", "linked/inner/word.txt": "shared", "word.txt": "shared"}
    assert built(source, FUNCTION, None, NODE) == expected
    copied = {f"python/{name}": text for name, text in expected.items()}
    assert built(source, LAYER, {"BuildMethod": "python3.12"}) == copied


def test_java_is_compiled_elsewhere(source: Path) -> None:
    (source / "pom.xml").write_text("<project/>")
    with pytest.raises(CliError, match=r"Hello has to be compiled by its pom\.xml: run `sam build`"):
        built(source, FUNCTION, None, {"Runtime": "java21"})


def test_what_was_compiled_already_is_taken(source: Path) -> None:
    (source / "bootstrap").write_text("compiled")
    metadata = {"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": "hello"}}
    assert set(built(source, FUNCTION, metadata, {"Runtime": "provided.al2023"})) == {"app.txt", "bootstrap"}


def test_a_package_json_that_is_none(source: Path) -> None:
    (source / "package.json").write_text("{")
    with pytest.raises(CliError, match=r"package\.json is no JSON"):
        built(source, FUNCTION, None, NODE)
