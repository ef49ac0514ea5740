"""Every check on real files: what it finds, what it says, and what a policy makes of it."""

import codecs
import json
import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from pipeline.errors import PipelineError
from pipeline.images.checks import lint
from pipeline.images.checks.context_size import too_large
from pipeline.images.checks.finding import Finding, refuse
from pipeline.images.checks.judging import Checks
from pipeline.images.checks.pin import Pin, pin_all
from pipeline.images.checks.pinning import pinned, references
from pipeline.images.checks.secrets import suspicions
from pipeline.images.commands import check
from pipeline.images.containers import discover
from pipeline.images.dockerfile import parse
from pipeline.settings import BuildSecret, Images
from pipeline.settings import Checks as Policies
from tests.images.conftest import AsNobody
from tests.images.folders import write

DIGEST = "sha256:" + "a" * 64
# Put together here, so that no scanner takes this file for a leak.
AWS_KEY = "AKIA" + "IOSFODNN7EXAMPLQ"
SETTINGS = json.dumps(
    {
        "context": {
            "pipeline": {
                "name": "etl",
                "region": "eu-west-1",
                "repository": "etl",
                "airflow": {"version": "3.3.1"},
                "environments": {"dev": {}},
            }
        }
    }
)
PRIVATE_KEY = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE\n"


def findings(
    folder: Path, dockerfile: str, files: Mapping[str, str], configured: Images | None = None
) -> tuple[Finding, ...]:
    write(folder / "x", {"Dockerfile": dockerfile, **files})
    return Checks(configured or Images()).before(discover(folder)[0])


def test_a_clean_container_has_no_findings(tmp_path: Path) -> None:
    assert findings(tmp_path, f"FROM python:3.12@{DIGEST}\nCOPY src /src\n", {"src/a.py": "x = 1\n"}) == ()


def test_the_linter_names_line_rule_and_mend(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, f"FROM python:3.12@{DIGEST}\nCOPY a /\nRUN echo $x | wc\n", {"a": ""})
    assert (found.check, found.denied) == ("lint", False)
    assert found.where.endswith("x/Dockerfile:3")
    assert found.what.startswith(("DL", "SC"))
    assert found.what.partition(" ")[0] in found.mend
    assert str(found).startswith("warning: ")


def test_a_comment_in_the_dockerfile_lifts_a_rule(tmp_path: Path) -> None:
    text = f"FROM python:3.12@{DIGEST}\nCOPY a /\n# hadolint ignore=DL4006\nRUN echo $x | wc\n"
    assert findings(tmp_path, text, {"a": ""}) == ()


def test_remarks_below_a_warning_are_left_out() -> None:
    answer = '[{"line": 1, "code": "DL1", "message": "m", "level": "%s"}]'
    assert [len(lint.remarks(answer % level)) for level in ("error", "warning", "info", "style")] == [1, 1, 0, 0]


def test_what_the_linter_does_not_understand_is_said(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, f"FROM python:3.12@{DIGEST}\nNONSENSE\n", {}, Images(checks=Policies(lint="deny")))
    assert found.denied
    assert "DL1000" in found.what or "unexpected" in found.what


@pytest.mark.parametrize(
    ("dockerfile", "unpinned"),
    [
        ("FROM a:1\n", ["a:1"]),
        ("FROM --platform=linux/amd64 a:1 AS x\nFROM X\nFROM scratch\n", ["a:1"]),
        (f"FROM a:1@{DIGEST}\nCOPY --from=b:2 /x /y\n", ["b:2"]),
        (
            "FROM a AS x\nCOPY --from=x / /\nCOPY --from=0 / /\nCOPY --from=localhost:5000/b /x /y\n",
            ["a", "localhost:5000/b"],
        ),
        ("ARG V\nFROM a:$V\n", ["a:$V"]),
        ("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n", []),
        ('ARG BASE_IMAGE=x\nFROM "${BASE_IMAGE:-y}"\n', []),
        ('FROM "a:1"\n', ["a:1"]),
        ("FROM \\\n  a:1 AS x\n", ["a:1"]),
        (f"ARG B=python:3@{DIGEST}\nFROM ${{B}}\n", []),
        ("ARG V=3\nARG B='python:${V}'\nFROM ${B}\n", ["${B}"]),
        ("ARG S=one\nFROM a AS one\nFROM $S\n", ["a"]),
        (f"FROM a@{DIGEST}\nRUN --mount=type=bind,from=b:2,target=/x --mount=from=c,target=/y z\n", ["b:2", "c"]),
        (f"FROM a@{DIGEST} AS one\nRUN --mount=type=cache,from=one,target=/x z --mount=from=no\n", []),
        (f"# syntax=docker/dockerfile:1\nFROM a@{DIGEST}\n", ["docker/dockerfile:1"]),
        (f"# escape=\\\n# Syntax = docker/dockerfile:1\nFROM a@{DIGEST}\n", ["docker/dockerfile:1"]),
        (f"# a comment\n# syntax=docker/dockerfile:1\nFROM a@{DIGEST}\n", []),
    ],
)
def test_images_of_others_without_a_digest_are_found(dockerfile: str, unpinned: list[str]) -> None:
    assert [each.written for each in references(parse(dockerfile), {}) if not each.pinned] == unpinned


def test_pinning_changes_the_references_and_nothing_else() -> None:
    before = (
        "# FROM a:1\nFROM a:1 AS one\nfrom  --platform=linux/arm64  a:1\r\nFROM a:12\nRUN echo a:1 --from=a:1\n"
        "COPY --from=a:1 --chown=x / /\nFROM xa:1\nFROM a:1-slim\nFROM a:1"
    )
    assert pinned(before, {"a:1": DIGEST}) == (
        f"# FROM a:1\nFROM a:1@{DIGEST} AS one\nfrom  --platform=linux/arm64  a:1@{DIGEST}\r\nFROM a:12\n"
        f"RUN echo a:1 --from=a:1\nCOPY --from=a:1@{DIGEST} --chown=x / /\nFROM xa:1\nFROM a:1-slim\nFROM a:1@{DIGEST}"
    )
    again = f"FROM a:1@{DIGEST}\n"
    assert pinned(again, {f"a:1@{DIGEST}": "sha256:b"}) == "FROM a:1@sha256:b\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("FROM \\\n  a:1 AS x\n", "FROM \\\n  a:1@D AS x\n"),
        ("FROM --platform=x \\\r\n  # why\r\n  a:1\r\n", "FROM --platform=x \\\r\n  # why\r\n  a:1@D\r\n"),
        ("FROM a:1\\\n AS x\n", "FROM a:1@D\\\n AS x\n"),
        ("# escape=`\nFROM `\n a:1\n", "# escape=`\nFROM `\n a:1@D\n"),
        ('FROM "a:1"\n', 'FROM "a:1@D"\n'),
        (
            "FROM x\nRUN --mount=from=a:1,target=/x --mount=type=bind,target=/y,from=a:1 \\\n echo from=a:1\n",
            "FROM x\nRUN --mount=from=a:1@D,target=/x --mount=type=bind,target=/y,from=a:1@D \\\n echo from=a:1\n",
        ),
        ("# syntax=a:1\nFROM x\n# syntax=a:1\n", "# syntax=a:1@D\nFROM x\n# syntax=a:1\n"),
        ("FROM x\nRUN <<EOF\nFROM a:1\nEOF\nFROM a:1\n", "FROM x\nRUN <<EOF\nFROM a:1\nEOF\nFROM a:1@D\n"),
        ("FROM x\nRUN echo \\\nFROM a:1\n", "FROM x\nRUN echo \\\nFROM a:1\n"),
        ("\ufeffFROM a:1\n", "\ufeffFROM a:1@D\n"),
        ("\ufeff# syntax=a:1\nFROM x\n", "\ufeff# syntax=a:1@D\nFROM x\n"),
        ('FROM x\nRUN read w <<< "x"\nFROM a:1\n', 'FROM x\nRUN read w <<< "x"\nFROM a:1@D\n'),
    ],
)
def test_a_reference_is_pinned_however_the_dockerfile_writes_it(before: str, after: str) -> None:
    assert pinned(before, {"a:1": DIGEST}) == after.replace("@D", f"@{DIGEST}")


@dataclass
class Registries:
    """As much of Docker's SDK as asks a registry for a digest."""

    asked: list[str] = field(default_factory=list)

    @property
    def images(self) -> "Registries":
        return self

    def get_registry_data(self, name: str) -> Any:
        self.asked.append(name)
        return SimpleNamespace(id=f"sha256:{'b' * 64}")


def pins(folder: Path, dockerfile: str, *, update: bool = False) -> tuple[list[Pin], Registries]:
    write(folder / "x", {"Dockerfile": dockerfile})
    registries = Registries()
    return list(pin_all(registries, discover(folder), update=update)), registries  # type: ignore[arg-type]  # a fake


def test_what_is_announced_is_written_and_pinned_again_there_is_nothing_to_do(tmp_path: Path) -> None:
    text = "# syntax=docker/dockerfile:1\nFROM \\\n  a:1 AS x\nRUN --mount=from=b:2,target=/y z\n"
    done, _ = pins(tmp_path, text)
    assert [(each.written, each.reason) for each in done] == [("docker/dockerfile:1", ""), ("a:1", ""), ("b:2", "")]
    written = (tmp_path / "x/Dockerfile").read_text()
    assert all(each.new in written for each in done)
    assert pins(tmp_path, written)[0] == []


def test_an_update_leaves_a_digest_without_a_tag_alone_and_says_why(tmp_path: Path) -> None:
    text = f"FROM host:5000/a@{DIGEST}\nFROM b:1@{DIGEST}\n"
    done, registries = pins(tmp_path, text, update=True)
    assert str(done[0]).endswith(
        f"host:5000/a@{DIGEST} is left as it is: it has no tag whose digest could be asked for"
    )
    assert registries.asked == ["b:1"]
    assert (tmp_path / "x/Dockerfile").read_text() == f"FROM host:5000/a@{DIGEST}\nFROM b:1@sha256:{'b' * 64}\n"
    assert done[0].document()["new"] is None
    assert done[1].document()["new"] == f"b:1@sha256:{'b' * 64}"


def test_a_build_argument_of_the_team_decides_whether_its_base_is_pinned(tmp_path: Path) -> None:
    files = {"container.toml": f'arguments = {{ B = "python:3@{DIGEST}" }}\n'}
    assert findings(tmp_path, "ARG B=python:3\nFROM ${B}\n", files, Images(checks=Policies(lint="off"))) == ()
    off = Images(checks=Policies(lint="off"))
    (found,) = findings(tmp_path, "ARG B=python:3\nFROM ${B}\n", {"container.toml": ""}, off)
    assert found.what.startswith("${B} (python:3) is not pinned")
    assert "where the build argument has its value" in found.mend


def test_a_build_secret_that_nobody_supplies_is_a_warning(tmp_path: Path) -> None:
    text = f"FROM a:1@{DIGEST}\nRUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem x\n"
    write(tmp_path / "x", {"Dockerfile": text})
    off = Policies(lint="off")
    configured = Images(checks=off, build_secrets={"ca.pem": BuildSecret(file="ca.pem")})
    (container,) = discover(tmp_path)
    (found,) = Checks(configured).before(container)
    assert (found.check, found.denied) == ("build_secrets", False)
    assert "'pip.conf', which nobody supplies" in found.what
    assert "--build-secret pip.conf=FILE" in found.mend
    assert Checks(configured, secrets=["pip.conf"]).before(container) == ()


def test_a_large_context_is_told_with_its_largest_files(tmp_path: Path) -> None:
    files = {}
    for name, size in (("a", 10), ("b", 900_000), ("c", 200_000)):
        (tmp_path / name).write_bytes(b"x" * size)
        files[name] = str(tmp_path / name)
    assert too_large(files, 1.2) == ""
    said = "the build context has 1.1 MB in 3 files, more than 1; largest: b (0.9 MB), c (0.2 MB), a (0.0 MB)"
    assert too_large(files, 1) == said


def test_the_names_of_large_files_write_one_line(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 2_000_000)
    said = too_large({"\x1b[31m\nred": str(tmp_path / "x")}, 1)
    assert said.endswith(r"largest: '\x1b[31m\nred' (2.0 MB)")


def test_secrets_are_found_by_content_and_by_name_and_never_shown(tmp_path: Path) -> None:
    files = {
        "src/config.py": f'x = 1\nKEY = "{AWS_KEY}"\n',
        "deploy_key": PRIVATE_KEY,
        ".env": "A=b\n",
        ".env.example": "A=\n",
        "index.conf": "url = https://user:" + "hunter2hunter2@pypi.corp.test/simple\n",
        "allowed.py": f'KEY = "{AWS_KEY}"  # pragma: allowlist secret\n',
        "requirements.txt": f"boto3==1 --hash=sha256:{'0123456789abcdef' * 4}\n",
        "container.toml": 'secrets = { DB_PASSWORD = "etl/db" }\n',
        "picture.png": "\udcff\udcfe",
    }
    for path, content in files.items():
        target = tmp_path / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(content, encoding="utf-8", errors="surrogateescape")
    found = suspicions({path: str(tmp_path / path) for path in files})
    assert [(each.path, each.line) for each in found] == [
        (".env", 0),
        ("deploy_key", 1),
        ("index.conf", 1),
        ("src/config.py", 2),
    ]
    assert AWS_KEY not in repr(found)
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-be", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("name", ["keys", "keys.ps1", "keys.ini", "keys.yaml"])
def test_secrets_are_found_in_whatever_encoding_text_has(tmp_path: Path, encoding: str, name: str) -> None:
    text = f'# caf\xe9\r\nkey: "{AWS_KEY}"\r\n'
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    (tmp_path / name).write_bytes(mark + text.encode(encoding))
    (found,) = suspicions({name: str(tmp_path / name)})
    assert (found.path, found.line, found.kind) == (name, 2, "AWS Access Key")


def test_a_line_that_is_meant_to_be_there_is_so_in_every_encoding(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_bytes(f'# caf\xe9\nk = "{AWS_KEY}"  # pragma: allowlist secret\n'.encode("latin-1"))
    assert suspicions({"x.py": str(tmp_path / "x.py")}) == ()


@pytest.mark.parametrize("name", ["lib.so", "model.yaml"])
@pytest.mark.parametrize("blanks", [0, 400])
def test_a_program_that_knows_how_keys_begin_is_no_secret(tmp_path: Path, name: str, blanks: int) -> None:
    (tmp_path / name).write_bytes(b"\x7fELF\0\xff" + b" " * blanks + b"\n" + PRIVATE_KEY.encode())
    assert suspicions({name: str(tmp_path / name)}) == ()


@pytest.mark.parametrize("text", ["since: 2026-13-01", "n: " + "9" * 5000, "n: " + "[" * 3000])
def test_secrets_are_found_in_yaml_that_cannot_be_parsed(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(f'{text}\nkey: "{AWS_KEY}"\n')
    (found,) = suspicions({"x.yaml": str(tmp_path / "x.yaml")})
    assert (found.line, found.kind) == (2, "AWS Access Key")


@pytest.mark.parametrize(
    "line",
    [
        'url = "postgresql://%s:%s@%s/db" % (user, password, host)',
        'printf \'https://%s:%s@host/simple\' "$user" "$password"',
        "AWS_ACCESS_KEY_ID=" + "AKIA" + "IOSFODNN7EXAMPLE",
        'aws_secret_access_key = "' + "wJalrXUtnFEMI/" + 'K7MDENG/bPxRfiCYEXAMPLEKEY"',
    ],
)
def test_what_stands_for_a_secret_is_none(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.py").write_text(f"{line}\n")
    assert suspicions({"x.py": str(tmp_path / "x.py")}) == ()


@pytest.mark.parametrize(("name", "text"), [("x.yaml", "a: &a [*a]\n"), ("x.txt", (" " * 400 + "\n") * 1000)])
def test_what_detectors_never_come_to_the_end_of_is_looked_at_all_the_same(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(f"{text}key: {AWS_KEY}\n")
    assert [each.line for each in suspicions({name: str(tmp_path / name)})] == [text.count("\n") + 1]


def test_both_kinds_of_githubs_tokens_are_found(tmp_path: Path) -> None:
    tokens = ("gh" + "p_" + "a1B2" * 9, "github" + "_pat_" + "a1B2" * 5 + "xy_" + "c3D4" * 14 + "xyz")
    (tmp_path / "x").write_text("".join(f"token = {token}\n" for token in tokens))
    found = suspicions({"x": str(tmp_path / "x")})
    assert [(each.line, each.kind) for each in found] == [(1, "GitHub Token"), (2, "GitHub fine-grained token")]


def test_a_secret_that_is_ignored_is_not_sent_and_so_not_found(tmp_path: Path) -> None:
    files = {".dockerignore": ".env", ".env": "A=b\n", "a": ""}
    assert findings(tmp_path, f"FROM a@{DIGEST}\nCOPY a /\n", files) == ()


def test_secrets_are_denied_unless_a_team_decides_otherwise(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, f"FROM a@{DIGEST}\nCOPY . /\n", {".env": "A=b\n"})
    assert found.denied
    with pytest.raises(PipelineError) as error:
        refuse([found])
    assert ".env: a file of this name holds secrets [secrets]" in error.value.what
    assert 'secrets = "deny"' in error.value.mend
    off = Images(checks=Policies(secrets="off", lint="off"))
    assert findings(tmp_path, f"FROM a@{DIGEST}\nCOPY . /\n", {}, off) == ()
    (warned,) = findings(
        tmp_path, f"FROM a@{DIGEST}\nCOPY . /\n", {}, Images(checks=Policies(secrets="warn", lint="off"))
    )
    assert not warned.denied
    refuse([warned])


@pytest.mark.parametrize("what", ["pipe", "shut"])
def test_the_command_names_what_no_build_can_be_sent_and_waits_for_no_writer(
    readable_by_all: Path, as_nobody: AsNobody, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    folder = write(readable_by_all, {"cdk.json": SETTINGS, "containers/x/Dockerfile": "FROM scratch\n"})
    path = folder / "containers/x" / what
    os.mkfifo(path) if what == "pipe" else path.write_text("")
    monkeypatch.chdir(folder)
    with as_nobody(path) if what == "shut" else nullcontext():
        error = CliRunner().invoke(check, []).exception
    assert isinstance(error, PipelineError)
    assert f"containers/x/{what}" in error.where
    assert ".dockerignore" in error.mend
