"""A build has a Python, an npm prefix, a HOME of its own: what it installs is there for itself only."""

import json
import shutil
import sys
import zipfile
from io import BytesIO

import pytest

from pipeline.process import run
from pipeline.pythons import find_python
from tests.localaws.codebuild.conftest import Bench

BUILD = "version: 0.2\nphases: {build: {commands: %s}}\n"


def wheel() -> bytes:
    """The smallest package with a program that pip installs without asking anybody."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        info = "hello_there-1.0.dist-info"
        archive.writestr("hello_there.py", "def main():\n    print('hello from', __file__)\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: hello-there\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\nhello-there = hello_there:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return content.getvalue()


def test_pip_installs_into_the_builds_own_python(bench: Bench) -> None:
    bucket = bench.bucket()
    source = BytesIO()
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("hello_there-1.0-py3-none-any.whl", wheel())
        archive.writestr(
            "buildspec.yml",
            BUILD
            % json.dumps(
                [
                    "pip install --quiet --no-index ./hello_there-1.0-py3-none-any.whl",
                    "hello-there",
                    "python -m pip --version",
                    'python -c "import sys; print(sys.prefix)"',
                    'test "$(command -v python3)" = "$(dirname "$(command -v python)")/python3"',
                    "echo $HOME; echo ${SECRET_OF_THE_HOST-unset}",
                ]
            ),
        )
    bench.client("s3").put_object(Bucket=bucket, Key="s.zip", Body=source.getvalue())
    build = bench.run("", {"source": {"type": "S3", "location": f"{bucket}/s.zip"}})
    assert build["buildStatus"] == "SUCCEEDED", bench.log(build)
    root = str(bench.region.folder / "codebuild" / "builds" / build["id"].partition(":")[2][:8])
    hello, pip, prefix, home, secret = bench.output(build)
    assert hello.startswith(f"hello from {root}/python/lib/")
    assert pip.startswith("pip ")
    assert (prefix, home, secret) == (f"{root}/python", f"{root}/home", "unset")
    again = bench.run(BUILD % '["python -c \\"import hello_there\\""]')
    assert again["buildStatus"] == "FAILED"


@pytest.mark.parametrize("asked", ["3.12", "3.13", "3.x", ""])
def test_a_build_gets_the_python_that_it_asks_for_where_this_machine_has_it(bench: Bench, asked: str) -> None:
    runtime = f"install: {{runtime-versions: {{python: '{asked}'}}}}, " if asked else ""
    show = ["python -c 'import platform; print(platform.python_version())'", "pip --version", "command -v python"]
    build = bench.run(f"version: 0.2\nphases: {{{runtime}build: {{commands: {json.dumps(show)}}}}}\n")
    assert build["buildStatus"] == "SUCCEEDED", bench.log(build)
    expected = (find_python(asked) if asked[2:].isdigit() else None) or sys.executable
    version, pip, place = bench.output(build)
    assert version == run([expected, "-c", "import platform; print(platform.python_version())"]).strip()
    assert pip.endswith(f"(python {version.rpartition('.')[0]})")
    assert place.startswith(str(bench.region.folder))
    said = [line for line in bench.log(build) if line.endswith(f"version '{asked}': this host has Python {version}")]
    assert len(said) == (1 if asked else 0)


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")
def test_npms_global_packages_go_to_the_builds_own_prefix(bench: Bench) -> None:
    bucket = bench.bucket(
        {
            "tool/package.json": json.dumps({"name": "a-tool", "version": "1.0.0", "bin": {"a-tool": "run.js"}}),
            "tool/run.js": "#!/usr/bin/env node\nconsole.log('tool runs')\n",
            "buildspec.yml": BUILD
            % json.dumps(["npm install --global --silent ./tool", "a-tool", "command -v a-tool"]),
        }
    )
    build = bench.run("", {"source": {"type": "S3", "location": f"{bucket}/source.zip"}})
    assert build["buildStatus"] == "SUCCEEDED", bench.log(build)
    ran, where = bench.output(build)
    assert ran == "tool runs"
    assert where.startswith(str(bench.region.folder))
    assert shutil.which("a-tool") is None


def test_programs_that_the_host_names_are_found(bench: Bench) -> None:
    build = bench.run(BUILD % '["command -v aws", "aws --version"]')
    assert build["buildStatus"] == "SUCCEEDED", bench.log(build)
    where, version = bench.output(build)
    assert where.startswith(str(bench.region.folder))
    assert version.startswith("aws-cli/")


def test_the_user_and_the_build_do_not_share_temporary_files(bench: Bench) -> None:
    build = bench.run(BUILD % '["mktemp"]')
    assert bench.output(build)[0].startswith(str(bench.region.folder))
