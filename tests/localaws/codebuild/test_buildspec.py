import json

import pytest

from pipeline.localaws.codebuild.buildspec import BuildspecError, is_inline, parse

MINIMAL = "version: 0.2\nphases: {build: {commands: [make]}}\n"


def phase(text: str) -> str:
    return f"version: 0.2\nphases: {{build: {{{text}}}}}"


def test_absent_parts_have_codebuilds_defaults() -> None:
    spec = parse(MINIMAL)
    assert spec.phases.build.commands == ("make",)
    assert spec.phases.install.commands == ()
    assert (spec.env.shell, spec.artifacts, dict(spec.reports), spec.cache.paths) == ("sh", None, {}, ())


def test_json_as_cdk_writes_it_is_understood() -> None:
    document = {
        "version": "0.2",
        "phases": {"build": {"commands": ["npx cdk synth"]}},
        "artifacts": {"base-directory": "cdk.out", "files": "**/*"},
    }
    spec = parse(json.dumps(document, indent=2))
    assert spec.artifacts is not None
    assert (spec.artifacts.files, spec.artifacts.base_directory) == (("**/*",), "cdk.out")


def test_plain_scalars_stay_the_text_that_was_written() -> None:
    spec = parse(MINIMAL + "env: {variables: {A: 012, B: yes, C: 1.10, D: null}}")
    assert dict(spec.env.variables) == {"A": "012", "B": "yes", "C": "1.10", "D": "null"}


def test_secondary_artifacts_need_no_primary_one() -> None:
    spec = parse(MINIMAL + "artifacts: {secondary-artifacts: {one: {files: [a], name: x, discard-paths: yes}}}")
    assert spec.artifacts is None
    assert spec.secondary_artifacts["one"].discard_paths is True


def test_secondary_artifacts_may_stand_beside_a_primary_one() -> None:
    spec = parse(MINIMAL + "artifacts: {files: [a], exclude-paths: [b], secondary-artifacts: {one: {files: [c]}}}")
    assert spec.artifacts is not None
    assert (spec.artifacts.exclude_paths, list(spec.secondary_artifacts)) == (("b",), ["one"])


def test_reports_are_junit_by_default_in_any_spelling_of_the_format() -> None:
    spec = parse(MINIMAL + "reports: {unit: {files: [a.xml]}, cover: {files: [c.xml], file-format: CoberturaXml}}")
    assert [report.file_format for report in spec.reports.values()] == ["JUNITXML", "COBERTURAXML"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not valid YAML"),
        ("make", "must be a mapping with `version` and `phases`"),
        ("phases: {}", "version: Field required"),
        ("version: 0.1\nphases: {}", "version: Input should be '0.2' (it is '0.1')"),
        ("version: 0.2", "phases: Field required"),
        ("version: 0.2\nphases: {deploy: {}}", "phases.deploy: there is no such key"),
        (MINIMAL + "artefacts: {}", "artefacts: there is no such key"),
        (phase("commands: [{echo a: b}]"), "phases.build.commands.0: must be a text"),
        (phase("on-failure: RETRY-2"), "phases.build.on-failure: the local AWS does not implement RETRY-2"),
        (phase("on-failure: GIVE_UP"), "phases.build.on-failure: Input should be 'ABORT' or 'CONTINUE'"),
        (phase("run-as: bob"), "`run-as`: the local AWS does not implement"),
        (MINIMAL + "batch: {build-list: []}", "`batch`: the local AWS does not implement batch builds"),
        (MINIMAL + "env: {git-credential-helper: yes}", "`git-credential-helper`"),
        (MINIMAL + "env: {shell: powershell.exe}", "env.shell: Input should be"),
        (MINIMAL + "env: {exported-variables: ['A;rm -rf /']}", "env.exported-variables: 'A;rm -rf /' is no name"),
        (MINIMAL + "artifacts: {files: []}", "artifacts.files: at least one pattern is needed"),
        (MINIMAL + "artifacts: {secondary-artifacts: {x: {}}}", "artifacts.secondary-artifacts.x.files: Field"),
        (MINIMAL + "reports: {x: {files: [a], file-format: TAP}}", "reports.x.file-format: Input should be"),
        (MINIMAL + "reports: {x: {files: [a], discard-paths: perhaps}}", "reports.x.discard-paths: "),
    ],
)  # fmt: skip
def test_a_wrong_key_is_named(text: str, message: str) -> None:
    with pytest.raises(BuildspecError) as error:
        parse(text, "buildspecs/x.yml")
    assert message in str(error.value)
    assert str(error.value).startswith("buildspecs/x.yml: ")


def test_refused_keys_that_are_switched_off_are_accepted() -> None:
    assert parse(MINIMAL + "env: {git-credential-helper: no}").env.shell == "sh"


def test_only_text_is_an_inline_buildspec() -> None:
    assert is_inline("version: 0.2\nphases: {}")
    assert is_inline('{"version": "0.2"}')
    assert not is_inline("buildspecs/synth.yml")
    assert not is_inline("arn:aws:s3:::bucket/buildspec.yml")
    assert not is_inline("")
