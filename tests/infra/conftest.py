"""The app composed and synthesized once, from values: no folder of containers, no account."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from pipeline import settings as project_settings
from pipeline.images.containers import Container
from pipeline.infra import nag, place
from pipeline.infra.pipeline_stack import PipelineStack

PROJECT = Path(__file__).parents[2]
ACCOUNT = "123456789012"
OTHER_ACCOUNT = "210987654321"
CONTAINERS = (
    Container("base", Path("containers/base"), task=False),
    Container(
        "load",
        Path("containers/load"),
        base="base",
        cpu=1024,
        memory=2048,
        architecture="ARM64",
        environment={"LOG_LEVEL": "INFO"},
        secrets={"PASSWORD": "etl/db"},
        policy=({"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": "${DataBucketArn}/raw/*"},),
    ),
    Container("report", Path("containers/report"), base="base"),
)
# Not the project's own, which a team changes as it likes: these tests are about the code, whatever cdk.json says.
SETTINGS = {
    "name": "etl",
    "region": "eu-west-1",
    "repository": "etl",
    "airflow": {"version": "3.3.1"},
    "environments": {
        "dev": {"airflow_class": "mw1.small"},
        "prod": {"airflow_class": "mw1.medium", "approval": True},
    },
}
TAGS = {"base": "0" * 32, "load": "1" * 32, "report": "2" * 32}


@dataclass(frozen=True)
class Assembly:
    """What synth wrote: stack name → template."""

    templates: Mapping[str, dict[str, Any]]

    def resources(self, kind: str, *stacks: str) -> dict[str, dict[str, Any]]:
        """Stack/logical id → resource, of one type; of all stacks by default."""
        return {
            f"{stack}/{name}": resource
            for stack, template in self.templates.items()
            for name, resource in template["Resources"].items()
            if resource["Type"] == kind and (not stacks or stack in stacks)
        }

    def one(self, kind: str, *stacks: str) -> dict[str, Any]:
        """The only resource of its type."""
        [found] = self.resources(kind, *stacks).values()
        return found

    def stages(self) -> dict[str, list[dict[str, Any]]]:
        """The pipeline's stages: name → actions."""
        stages = self.one("AWS::CodePipeline::Pipeline")["Properties"]["Stages"]
        return {stage["Name"]: stage["Actions"] for stage in stages}

    def projects(self) -> dict[str, dict[str, Any]]:
        """CodeBuild project name → its properties."""
        found = [resource["Properties"] for resource in self.resources("AWS::CodeBuild::Project").values()]
        return {properties["Name"]: properties for properties in found}


def compose(
    outdir: Path, change: Mapping[str, Any] | None = None, containers: Sequence[Container] = CONTAINERS
) -> Assembly:
    """The app with some settings changed and the feature flags of the project's cdk.json, synthesized with cdk-nag."""
    flags = json.loads((PROJECT / "cdk.json").read_text(encoding="utf-8"))["context"]
    flags.pop("pipeline")
    settings = project_settings.parse({**SETTINGS, **(change or {})})
    app = App(analytics_reporting=False, context=flags, outdir=str(outdir))
    PipelineStack(
        app,
        settings,
        place=place.of_pipeline(settings, ACCOUNT),
        containers=containers,
        tags=TAGS,
        cli_version="2.1.0",
    )
    nag.check(app)
    app.synth()
    return Assembly(
        {
            artifact["properties"].get("stackName", name): json.loads(
                (manifest.parent / artifact["properties"]["templateFile"]).read_text(encoding="utf-8")
            )
            for manifest in sorted(outdir.rglob("manifest.json"))
            for name, artifact in json.loads(manifest.read_text(encoding="utf-8"))["artifacts"].items()
            if artifact["type"] == "aws:cloudformation:stack"
        }
    )


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """Two environments and three containers."""
    return compose(tmp_path_factory.mktemp("assembly"))


@pytest.fixture(scope="session")
def wide_assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """An environment more, which is in another account and region."""
    environments = {
        "dev": {},
        "test": {"worker_replacement": "FORCED"},
        "prod": {"approval": True, "account": OTHER_ACCOUNT, "region": "us-east-1"},
    }
    return compose(
        tmp_path_factory.mktemp("wide"), {"name": "dwh", "execution_mode": "QUEUED", "environments": environments}
    )
