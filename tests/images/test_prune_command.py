"""`pipeline images prune` as people run it, against a real registry and the records of two environments."""

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline import settings
from pipeline.images.containers import discover
from pipeline.images.content import content_tags
from pipeline.images.image_index import OCI_INDEX, image_index
from pipeline.localaws.region import LocalRegion
from pipeline.prune import deployed
from pipeline.release.record import key_of
from tests.images.folders import write
from tests.images.project import Project
from tests.localaws.ecr.conftest import Registry as Pusher

ACCOUNT = "123456789012"
RELEASED, DEPLOYED, UNUSED, TWICE = ("a" * 32, "b" * 32, "c" * 32, "d" * 32)
DAY = 24 * 3600
ENVIRONMENTS = ("dev", "prod")
SETTINGS = {
    "name": "etl",
    "region": "eu-west-1",
    "repository": "etl",
    "airflow": {"version": "3.3.1"},
    "environments": {"dev": {}},
}


class Pruned(Project):
    """A project with one container, whose environments are deployed in the local AWS, and an image of each sort."""

    def __init__(self, folder: Path, registry: LocalRegion) -> None:
        super().__init__(folder, "", registry, name=f"p{uuid.uuid4().hex[:8]}")
        self._settings["environments"] = {name: {} for name in ENVIRONMENTS}
        self.configure()
        for path in ("base", "child"):
            for file in sorted((folder / "containers" / path).rglob("*"), reverse=True):
                file.rmdir() if file.is_dir() else file.unlink()
            (folder / "containers" / path).rmdir()
        write(folder, {"containers/x/Dockerfile": "FROM scratch\nCOPY lib /\n", "containers/x/lib": ""})
        self.current = content_tags(discover(folder / "containers"))["x"]
        self.repository = f"{self.name}/x"
        self.ecr.create_repository(repositoryName=self.repository, imageTagMutability="IMMUTABLE")
        self._pusher = Pusher(registry).login()
        self.s3, self.cloudformation = registry.client("s3"), registry.client("cloudformation")
        self.ecs = registry.client("ecs")
        for name in ENVIRONMENTS:
            self._deploy(name)
        self._create_pipeline()

    def push(self, tag: str, days: int) -> str:
        status, digest, answer = self._pusher.push(self.repository, tag, tag.encode())
        assert status == 201, answer
        self._age(tag, digest, days)
        return digest

    def join(self, tag: str, days: int) -> None:
        """An image for two platforms, with its parts."""
        parts = {f"linux/{name}": f"{tag}-{name}" for name in ("amd64", "arm64")}
        digests = {part: self.push(part, days + 1) for part in parts.values()}
        answer = self.ecr.batch_get_image(
            repositoryName=self.repository, imageIds=[{"imageDigest": digest} for digest in digests.values()]
        )
        manifests = {each["imageId"]["imageDigest"]: each["imageManifest"] for each in answer["images"]}
        index = image_index({platform: manifests[digests[part]] for platform, part in parts.items()})
        put = self.ecr.put_image(
            repositoryName=self.repository, imageManifest=index, imageManifestMediaType=OCI_INDEX, imageTag=tag
        )
        self._age(tag, put["image"]["imageId"]["imageDigest"], days)

    def record(self, environment: str, release: str, image: str | None) -> None:
        arn = f"arn:aws:ecs:{self.region.region}:{ACCOUNT}:task-definition/{self.name}-{environment}-x:7"
        document: dict[str, Any] = {
            "format": 1, "id": release, "kind": "deploy", "environment": environment, "commit": "c0ffee1", "by": "me",
            "time": "2026-11-07T10:15:00Z", "files": {}, "tasks": {"x": {"task_definition": arn, "image": image}},
        }  # fmt: skip
        self.put(environment, key_of(release), json.dumps(document))

    def put(self, environment: str, key: str, text: str) -> None:
        self.s3.put_object(Bucket=f"{self.name}-{environment}", Key=key, Body=text.encode())

    def forget(self, environment: str) -> None:
        """Let cdk.json not name an environment, as on an older commit."""
        del self._settings["environments"][environment]
        self.configure()

    def belongs_to(self, account: str) -> None:
        """Let cdk.json name the pipeline's account."""
        self._settings["account"] = account
        self.configure()

    def prune(self, *arguments: str, code: int = 0) -> str:
        found, out, err = self.run("prune", *arguments)
        assert found == code, out + err
        assert "Traceback" not in err
        return out if code == 0 else err

    def _deploy(self, environment: str) -> None:
        self.s3.create_bucket(
            Bucket=f"{self.name}-{environment}", CreateBucketConfiguration={"LocationConstraint": self.region.region}
        )
        definition = self.ecs.register_task_definition(
            family=f"{self.name}-{environment}-x",
            containerDefinitions=[{"name": "x", "image": f"1.ecr/{self.repository}:{DEPLOYED}", "memory": 512}],
        )["taskDefinition"]["taskDefinitionArn"]
        self._stack(environment, "airflow", {"Bucket": f"{self.name}-{environment}", "AirflowEnvironment": "a"})
        outputs = dict.fromkeys(("Cluster", "Subnets", "SecurityGroup", "DataBucket", "LogGroup"), "x")
        self._stack(environment, "tasks", outputs | {"TaskDefinitions": json.dumps({"x": definition})})

    def _stack(self, environment: str, part: str, outputs: Mapping[str, str]) -> None:
        template = {
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {key: {"Value": value} for key, value in outputs.items()},
        }
        self.cloudformation.create_stack(
            StackName=f"{self.name}-{environment}-{part}", TemplateBody=json.dumps(template)
        )

    def _create_pipeline(self) -> None:
        """A pipeline that deploys the environments; it is never run."""
        self.pipelines, iam = self.region.client("codepipeline"), self.region.client("iam")
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "codepipeline.amazonaws.com"}}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=policy)["Role"]["Arn"]
        commits = {"RepositoryName": "etl", "BranchName": "main"}
        stages = [
            _stage("Source", "Source", "CodeCommit", commits, outputArtifacts=[{"name": "source"}]),
            _stage("TestAndBuild", "Build", "CodeBuild", {"ProjectName": "build"}),
            *(_stage(name, "Deploy", "CloudFormation", self._deploying(name)) for name in ENVIRONMENTS),
        ]
        bucket = {"type": "S3", "location": f"{self.name}-dev"}
        document = {"name": self.name, "roleArn": role, "stages": stages, "artifactStore": bucket, "version": 1}
        self.pipelines.create_pipeline(pipeline=document)

    def _deploying(self, environment: str) -> dict[str, str]:
        return {"ActionMode": "CHANGE_SET_EXECUTE", "StackName": f"{self.name}-{environment}-tasks"}

    def _age(self, tag: str, digest: str, days: int) -> None:
        manifests = self.region.folder / "registry/storage/docker/registry/v2/repositories" / self.repository
        revision = manifests / "_manifests/revisions" / digest.replace(":", "/") / "link"
        for link in (revision, manifests / "_manifests/tags" / tag / "current/link"):
            then = link.stat().st_mtime - days * DAY
            os.utime(link, (then, then))


def _stage(name: str, category: str, provider: str, configuration: dict[str, str], **more: Any) -> dict[str, Any]:
    kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
    return {"name": name, "actions": [{"name": name, "actionTypeId": kind, "configuration": configuration, **more}]}


@pytest.fixture
def pruned(tmp_path: Path, registry: LocalRegion) -> Pruned:
    made = Pruned(tmp_path, registry)
    for tag, days in ((RELEASED, 300), (DEPLOYED, 200), (UNUSED, 120), (made.current, 110), ("stable", 400)):
        made.push(tag, days)
    made.join(TWICE, 150)
    made.push("e" * 32, 1)
    made.record("dev", "20250101T000000Z-c0ffee1-0001", f"1.ecr/{made.repository}:{UNUSED[:-1]}0")
    # Not the current release, and of the other environment.
    made.record("prod", "20240101T000000Z-c0ffee1-0001", f"1.ecr/{made.repository}:{RELEASED}")
    made.put("prod", "releases/current.json", "{}")
    return made


def test_only_old_images_that_nothing_references_go(pruned: Pruned) -> None:
    before = pruned.tags("x")
    dry = json.loads(pruned.prune("--dry-run", "--json"))
    assert pruned.tags("x") == before
    done = json.loads(pruned.prune("--json"))
    assert {**done, "dry_run": True} == dry, "the run does what the dry run said"
    gone = {UNUSED, TWICE, f"{TWICE}-amd64", f"{TWICE}-arm64"}
    assert before.keys() - pruned.tags("x").keys() == gone
    reasons = {tag: entry["reason"] for entry in done["images"] for tag in entry["tags"]}
    assert reasons[RELEASED] == "release 20240101T000000Z-c0ffee1-0001 of prod"
    assert reasons[DEPLOYED] in {f"deployed in {name}" for name in ENVIRONMENTS}
    assert reasons[pruned.current] == "the working tree's"
    assert reasons[UNUSED] == "nothing references it; pushed 120 days ago"
    assert pruned.prune().endswith("deleted: 0\n")
    assert f"x  delete  {'e' * 32}" not in pruned.prune("--older-than", "1")


@pytest.mark.parametrize("broken", ["record", "unknown format", "no stack", "no bucket", "no image"])
def test_when_one_environments_releases_cannot_be_read_nothing_is_deleted(pruned: Pruned, broken: str) -> None:
    if broken == "record":
        pruned.put("prod", key_of("20230101T000000Z-c0ffee1-0001"), "{")
    elif broken == "unknown format":
        pruned.put("prod", "releases/v2-20230101.json", "{}")
    elif broken == "no stack":
        pruned.cloudformation.delete_stack(StackName=f"{pruned.name}-prod-tasks")
    elif broken == "no bucket":
        for item in pruned.s3.list_objects_v2(Bucket=f"{pruned.name}-prod")["Contents"]:
            pruned.s3.delete_object(Bucket=f"{pruned.name}-prod", Key=item["Key"])
        pruned.s3.delete_bucket(Bucket=f"{pruned.name}-prod")
    else:
        pruned.record("prod", "20230101T000000Z-c0ffee1-0001", None)
    before = pruned.tags("x")
    for arguments in ((), ("--json",)):
        said = " ".join(pruned.prune(*arguments, code=1).split())
        assert "nothing is deleted, since the releases of prod cannot be read: " in said
    assert pruned.tags("x") == before


@pytest.mark.parametrize("missing", ["environment", "pipeline"])
def test_nothing_is_deleted_where_this_commit_does_not_know_all_that_is_deployed(pruned: Pruned, missing: str) -> None:
    if missing == "environment":
        pruned.forget("prod")
        said = "this cdk.json does not name what the pipeline deploys: prod"
    else:
        pruned.pipelines.delete_pipeline(name=pruned.name)
        said = "the pipeline does not say which environments there are: "
    before = pruned.tags("x")
    for arguments in ((), ("--dry-run", "--json")):
        told = pruned.prune(*arguments, code=1)
        assert f"nothing is deleted, since {said}" in " ".join(told.split())
        assert ("newest commit of main" if missing == "environment" else "codepipeline:GetPipeline") in told
    assert pruned.tags("x") == before


def test_only_a_stage_with_the_stack_of_an_environments_tasks_is_an_environment() -> None:
    dev = {"name": "dev", "actions": [{"configuration": {"StackName": "etl-dev-tasks"}}, {}]}
    other = {"name": "prod", "actions": [{"configuration": {"StackName": "another-project-prod-tasks"}}]}
    assert deployed({"stages": [{"name": "Source", "actions": [{}]}, dev, other]}, settings.parse(SETTINGS)) == ["dev"]


def test_images_of_another_account_than_the_callers_are_not_looked_at(pruned: Pruned) -> None:
    pruned.belongs_to("210987654321")
    for command in ("prune", "plan"):
        code, out, err = pruned.run(command)
        assert (code, out) == (1, "")
        said = " ".join(err.split())
        assert f"the images are in the account 210987654321, and you are logged in to {ACCOUNT}" in said
    pruned.belongs_to(ACCOUNT)
    assert "dry run: nothing was deleted" in pruned.prune("--dry-run")


@pytest.mark.parametrize("account", ["", ACCOUNT])
def test_an_endpoint_that_is_none_is_a_sentence(pruned: Pruned, account: str) -> None:
    if account:
        pruned.belongs_to(account)
    pruned.environment["AWS_ENDPOINT_URL"] = "not-a-url"
    assert "Invalid endpoint: not-a-url" in pruned.prune(code=1)


def test_a_container_without_a_repository_and_a_day_that_is_none(pruned: Pruned) -> None:
    write(pruned.folder, {"containers/new/Dockerfile": "FROM scratch\n"})
    assert UNUSED in pruned.prune("--dry-run")
    assert "--older-than" in pruned.prune("--older-than", "0", code=2)
