"""What goes into a build and what comes out of it, as CodePipeline and people ask for it."""

import json
import stat
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipeline.git import Git
from pipeline.process import run
from tests.localaws.codebuild.conftest import Bench, context, phases

BUILD = "version: 0.2\nphases: {build: {commands: [%s]}}\n"


def from_pipeline(bench: Bench, buildspec: str) -> str:
    """A project as CDK Pipelines makes it."""
    return bench.project(
        buildspec, source={"type": "CODEPIPELINE", "buildspec": buildspec}, artifacts={"type": "CODEPIPELINE"}
    )


def s3_artifact(bucket: str, key: str, **members: Any) -> dict[str, Any]:
    path, _, name = key.rpartition("/")
    return {"type": "S3", "location": bucket, "path": path, "name": name, "packaging": "ZIP", **members}


def test_a_pipelines_build_takes_zips_from_s3_and_leaves_one_there(bench: Bench) -> None:
    bucket = bench.bucket({"run.sh": "echo from the source", "deep/a.txt": "a"})
    bench.client("s3").copy_object(Bucket=bucket, Key="p/other.zip", CopySource=f"{bucket}/source.zip")
    project = from_pipeline(
        bench,
        BUILD % "sh run.sh, cat $CODEBUILD_SRC_DIR_Other/deep/a.txt, mkdir -p out/bin, cp run.sh out/bin/x, "
        "chmod 755 out/bin/x, touch out/.hidden, echo $CODEBUILD_RESOLVED_SOURCE_VERSION $CODEBUILD_INITIATOR"
        + 'artifacts: {base-directory: out, files: "**/*"}',
    )
    build = bench.wait(
        bench.start(
            project,
            sourceTypeOverride="S3",
            sourceLocationOverride=f"{bucket}/source.zip",
            sourceVersion="0123456789abcdef",
            secondarySourcesOverride=[{"type": "S3", "location": f"{bucket}/p/other.zip", "sourceIdentifier": "Other"}],
            artifactsOverride=s3_artifact(bucket, "p/Synth/abc123"),
            environmentVariablesOverride=[{"name": "CODEBUILD_INITIATOR", "value": "codepipeline/etl"}],
        )
    )
    assert build["buildStatus"] == "SUCCEEDED", bench.log(build)
    assert bench.output(build) == ["from the source", "a", "0123456789abcdef codepipeline/etl"]
    assert (build["resolvedSourceVersion"], build["initiator"]) == ("0123456789abcdef", "codepipeline/etl")
    assert build["artifacts"]["location"] == f"arn:aws:s3:::{bucket}/p/Synth/abc123"
    archive = bench.zip(bucket, "p/Synth/abc123")
    assert sorted(archive.namelist()) == [".hidden", "bin/x"]
    assert stat.S_IMODE(archive.getinfo("bin/x").external_attr >> 16) == 0o755


def test_secondary_artifacts_go_where_their_identifiers_say(bench: Bench) -> None:
    bucket = bench.bucket({"a.txt": "a", "b/c.txt": "c"})
    build = bench.wait(
        bench.start(
            from_pipeline(
                bench,
                BUILD % "'true'" + "artifacts: {secondary-artifacts: {One: {files: [a.txt]}, "
                "Two: {files: ['**/*.txt'], discard-paths: yes, exclude-paths: [a.txt]}}}",
            ),
            sourceTypeOverride="S3",
            sourceLocationOverride=f"{bucket}/source.zip",
            artifactsOverride={"type": "NO_ARTIFACTS"},
            secondaryArtifactsOverride=[
                s3_artifact(bucket, "out/one", artifactIdentifier="One"),
                s3_artifact(bucket, "out/two", artifactIdentifier="Two"),
            ],
        )
    )
    assert build["buildStatus"] == "SUCCEEDED", bench.log(build)
    assert bench.zip(bucket, "out/one").namelist() == ["a.txt"]
    assert bench.zip(bucket, "out/two").namelist() == ["c.txt"]
    assert [each["artifactIdentifier"] for each in build["secondaryArtifacts"]] == ["One", "Two"]


def test_a_project_for_a_pipeline_cannot_be_started_without_one(bench: Bench) -> None:
    with pytest.raises(ClientError, match="takes its source from a pipeline"):
        bench.start(from_pipeline(bench, BUILD % "'true'"))


def test_an_artifact_the_buildspec_does_not_define_is_named(bench: Bench) -> None:
    build = bench.run(BUILD % "'true'", {"artifacts": s3_artifact(bench.bucket(), "x")})
    assert build["buildStatus"] == "FAILED"
    code, message = context(build, "UPLOAD_ARTIFACTS")
    assert (code, message) == (
        "CLIENT_ERROR",
        "the project wants an artifact that the buildspec does not define: artifacts",
    )


@pytest.mark.parametrize(
    ("artifacts", "message"),
    [
        ("files: [none.txt]", "no matching artifact paths found: none.txt in ."),
        ("files: ['*'], base-directory: none", "no matching base directory path found for none"),
    ],
)
def test_an_artifact_that_matches_nothing_fails_the_upload(bench: Bench, artifacts: str, message: str) -> None:
    build = bench.run(BUILD % "'true'" + f"artifacts: {{{artifacts}}}", {"artifacts": s3_artifact(bench.bucket(), "x")})
    assert (build["buildStatus"], context(build, "UPLOAD_ARTIFACTS")) == ("FAILED", ("CLIENT_ERROR", message))


def test_artifacts_of_a_failed_build_are_uploaded_too(bench: Bench) -> None:
    bucket = bench.bucket()
    build = bench.run(
        BUILD % "echo 1 > log.txt, 'false'" + "artifacts: {files: [log.txt]}", {"artifacts": s3_artifact(bucket, "x")}
    )
    assert (build["buildStatus"], phases(build)["UPLOAD_ARTIFACTS"]) == ("FAILED", "SUCCEEDED")
    assert bench.zip(bucket, "x").namelist() == ["log.txt"]


def test_an_unpacked_artifact_is_an_object_for_each_file_under_an_evaluated_name(bench: Bench) -> None:
    bucket = bench.bucket()
    build = bench.run(
        BUILD % "mkdir d, touch a d/b, export WORD=x" + "artifacts: {files: ['**/*'], name: out-$WORD-$(echo y)}",
        {
            "artifacts": {
                "type": "S3", "location": bucket, "path": "p", "packaging": "NONE", "overrideArtifactName": True,
                "namespaceType": "BUILD_ID",
            }
        },
    )  # fmt: skip
    keys = [item["Key"] for item in bench.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]
    prefix = f"p/{build['id'].partition(':')[2]}/out-x-y"
    assert keys == [f"{prefix}/a", f"{prefix}/d/b"]


def test_links_stay_links_when_asked(bench: Bench) -> None:
    bucket = bench.bucket()
    bench.run(
        BUILD % "echo 1 > a, ln -s a b" + "artifacts: {files: ['*'], enable-symlinks: yes}",
        {"artifacts": s3_artifact(bucket, "x")},
    )
    archive = bench.zip(bucket, "x")
    assert stat.S_ISLNK(archive.getinfo("b").external_attr >> 16)
    assert archive.read("b") == b"a"


def test_thousands_of_files_are_packed_and_unpacked_quickly(bench: Bench) -> None:
    bucket = bench.bucket()
    build = bench.run(
        BUILD % "'mkdir cdk.out && cd cdk.out && seq 3000 | xargs touch'"
        + "artifacts: {base-directory: cdk.out, files: ['**/*']}",
        {"artifacts": s3_artifact(bucket, "x")},
    )
    assert len(bench.zip(bucket, "x").namelist()) == 3000
    upload = next(phase for phase in build["phases"] if phase["phaseType"] == "UPLOAD_ARTIFACTS")
    assert upload["durationInSeconds"] < 10
    again = bench.run(
        BUILD % "ls | wc -l",
        {"source": {"type": "S3", "location": f"{bucket}/x", "buildspec": BUILD % "ls | wc -l"}},
    )
    assert bench.output(again) == ["3000"]


def test_an_s3_source_brings_its_own_buildspec_and_version(bench: Bench) -> None:
    bucket = bench.bucket()
    s3 = bench.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    versions = []
    for word in ("old", "new"):
        content = BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("ci/spec.yml", BUILD % f"echo {word}")
        versions.append(s3.put_object(Bucket=bucket, Key="s.zip", Body=content.getvalue())["VersionId"])
    source = {"type": "S3", "location": f"{bucket}/s.zip", "buildspec": "ci/spec.yml"}
    project = bench.project("", source=source)
    newest = bench.wait(bench.start(project))
    assert (bench.output(newest), newest["resolvedSourceVersion"]) == (["new"], versions[1])
    old = bench.wait(bench.start(project, sourceVersion=versions[0]))
    assert bench.output(old) == ["old"]


@pytest.mark.parametrize(
    ("key", "content", "message"),
    [
        ("none.zip", None, "cannot read the source"),
        ("bad.zip", b"no zip", "no ZIP file"),
    ],
)
def test_a_source_that_cannot_be_had_fails_the_download(
    bench: Bench, key: str, content: bytes | None, message: str
) -> None:
    bucket = bench.bucket()
    if content is not None:
        bench.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
    build = bench.run("", {"source": {"type": "S3", "location": f"{bucket}/{key}", "buildspec": BUILD % "'true'"}})
    assert build["buildStatus"] == "FAILED"
    code, said = context(build, "DOWNLOAD_SOURCE")
    assert code == "CLIENT_ERROR"
    assert message in said


def test_a_buildspec_that_is_not_in_the_source_is_named(bench: Bench) -> None:
    bucket = bench.bucket({"a": "a"})
    build = bench.run("", {"source": {"type": "S3", "location": f"{bucket}/source.zip"}})
    assert context(build, "DOWNLOAD_SOURCE") == (
        "YAML_FILE_ERROR",
        "there is no buildspec buildspec.yml in the source",
    )


def test_a_clone_can_be_had_at_a_branch_a_commit_or_its_newest(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    run(["git", "init", "--quiet", "--initial-branch=main", str(origin)])
    identity = ["-c", "user.name=n", "-c", "user.email=e@x"]
    commits = []
    for word in ("one", "two"):
        (origin / "word").write_text(word)
        run(["git", "-C", str(origin), "add", "word"])
        run(["git", "-C", str(origin), *identity, "commit", "--quiet", "--message", word])
        commits.append(Git(origin).commit_of("HEAD"))
    assert (Git.clone(str(origin), tmp_path / "newest").folder / "word").read_text() == "two"
    assert (Git.clone(str(origin), tmp_path / "old", revision=commits[0]).folder / "word").read_text() == "one"
    assert Git.clone(str(origin), tmp_path / "branch", revision="main").commit_of("HEAD") == commits[1]


def test_a_folder_is_found_again_by_the_next_build_of_the_project(bench: Bench) -> None:
    text = (
        BUILD % "cat seen ~/.cache/x/seen 2>/dev/null || echo nothing, mkdir -p c ~/.cache/x, "
        "echo home > ~/.cache/x/seen, ls c, touch c/file" + "cache: {paths: ['c/**/*', '/root/.cache/x/**/*']}"
    )
    project = bench.project(text, cache={"type": "LOCAL", "modes": ["LOCAL_CUSTOM_CACHE"]})
    first = bench.wait(bench.start(project))
    second = bench.wait(bench.start(project))
    assert bench.output(first) == ["nothing"]
    assert bench.output(second) == ["home", "nothing", "file"]


def test_inline_json_is_a_buildspec_too(bench: Bench) -> None:
    text = json.dumps({"version": "0.2", "phases": {"build": {"commands": ["echo json"]}}}, indent=2)
    assert bench.output(bench.run(text)) == ["json"]
