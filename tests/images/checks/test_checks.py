"""Every check on real files: what it finds, what it says, and what a policy makes of it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.images.checks import lint
from pipeline.images.checks.context_size import too_large
from pipeline.images.checks.finding import Finding, refuse
from pipeline.images.checks.judging import Checks
from pipeline.images.checks.pinning import pinned, references
from pipeline.images.checks.secrets import suspicions
from pipeline.images.containers import discover
from pipeline.images.dockerfile import parse
from pipeline.images.plan import Image
from pipeline.settings import Checks as Policies
from pipeline.settings import Images
from tests.images.folders import write

DIGEST = "sha256:" + "a" * 64
# Put together here, so that no scanner takes this file for a leak.
AWS_KEY = "AKIA" + "IOSFODNN7EXAMPLQ"
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
    ],
)
def test_images_of_others_without_a_digest_are_found(dockerfile: str, unpinned: list[str]) -> None:
    assert [each.written for each in references(parse(dockerfile)) if not each.pinned] == unpinned


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


def test_a_large_context_is_told_with_its_largest_files(tmp_path: Path) -> None:
    files = {}
    for name, size in (("a", 10), ("b", 900_000), ("c", 200_000)):
        (tmp_path / name).write_bytes(b"x" * size)
        files[name] = str(tmp_path / name)
    assert too_large(files, 1.2) == ""
    said = "the build context has 1.1 MB in 3 files, more than 1; largest: b (0.9 MB), c (0.2 MB), a (0.0 MB)"
    assert too_large(files, 1) == said


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


@pytest.mark.parametrize(
    ("severities", "least", "said"),
    [
        ({}, "LOW", ""),
        ({"CRITICAL": 2, "HIGH": 1, "LOW": 9}, "HIGH", "the registry's scan found 2 CRITICAL, 1 HIGH"),
        ({"MEDIUM": 3}, "HIGH", ""),
        ({"MEDIUM": 3}, "MEDIUM", "the registry's scan found 3 MEDIUM"),
    ],
)
def test_a_scan_counts_from_the_severity_a_team_sets(severities: dict[str, int], least: str, said: str) -> None:
    configured = Images.model_validate({"scan_severity": least, "checks": {"scan": "deny"}})
    found = Checks(configured).scanned("x", Image("d", 1, "COMPLETE", severities))
    assert [each.what for each in found] == ([said] if said else [])
    assert all(each.denied for each in found)
