"""The pipeline's CodeBuild steps, each from its file in `buildspecs/`, with its own role, log and time limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import Duration, RemovalPolicy, Stack, pipelines
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_logs as logs
from constructs import Construct

from pipeline.infra import access, buildspec
from pipeline.infra.access import Right
from pipeline.infra.artifacts import Artifacts
from pipeline.infra.nag import excuse

LOGS_KEPT = logs.RetentionDays.THREE_MONTHS
BUILD_IMAGE = codebuild.LinuxBuildImage.STANDARD_7_0


@dataclass(frozen=True)
class Step:
    """What differs from step to step.

    Attributes:
        name: The action's name; the project and its role are called so too, after the pipeline's name.
        buildspec: Name of the file in `buildspecs/`.
        timeout: Time after which the build is ended as failed.
        rights: What its role may do beyond its own artifacts, log and reports.
        variables: Environment variables of the project.
        docker: Whether it builds or runs containers.
    """

    name: str
    buildspec: str
    timeout: Duration
    rights: Sequence[Right] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    docker: bool = False


class BuildSteps:
    """Makes the steps of one pipeline."""

    def __init__(
        self, scope: Construct, pipeline: str, source: pipelines.IFileSetProducer, artifacts: Artifacts
    ) -> None:
        self._scope = scope
        self._stack = Stack.of(scope)
        self._pipeline = pipeline
        self._source = source
        self._artifacts = artifacts
        self._logs: dict[str, logs.LogGroup] = {}
        self._privileged: list[pipelines.CodeBuildStep] = []

    def make(
        self, step: Step, inputs: Mapping[str, pipelines.IFileSetProducer] | None = None
    ) -> pipelines.CodeBuildStep:
        """A step with its role, log group and project, all with stable names.

        Args:
            step: What it is.
            inputs: What earlier steps hand on to it: folder, below the source's, → step.
        """
        spec = buildspec.load(step.buildspec)
        project = self.project(step.name)
        role = access.role(
            self._scope,
            f"Role-{step.name}",
            [*self._artifacts.reading(), *self._own_rights(step, spec), *step.rights],
            trusted=access.service("codebuild", SourceArn=self._project_arn(step.name)),
            description=f"The build step {step.name} of the pipeline {self._pipeline}",
            role_name=project,
        )
        made = pipelines.CodeBuildStep(
            step.name,
            input=self._source,
            additional_inputs=dict(inputs or {}),
            project_name=project,
            role=role.without_policy_updates(),
            install_commands=list(spec.install),
            commands=list(spec.build),
            partial_build_spec=codebuild.BuildSpec.from_object(dict(spec.rest)),
            primary_output_directory=spec.output,
            env=dict(step.variables),
            timeout=step.timeout,
            logging=logging(self.log(step.name)),
            cache=_cache(step, spec),
            build_environment=codebuild.BuildEnvironment(build_image=BUILD_IMAGE, privileged=step.docker),
        )
        for variable in spec.exported:
            made.exported_variable(variable)
        if step.docker:
            self._privileged.append(made)
        return made

    def project(self, step: str) -> str:
        """Name of a step's project, and of its role."""
        return f"{self._pipeline}-{step}"

    def project_arns(self) -> tuple[str, ...]:
        """ARNs of the projects of all steps."""
        return tuple(self._project_arn(step) for step in self._logs)

    def log(self, step: str) -> logs.LogGroup:
        """The log of a step's project. It goes when its step goes: CloudTrail keeps who built what."""
        if step not in self._logs:
            self._logs[step] = logs.LogGroup(
                self._scope,
                f"Log-{step}",
                log_group_name=f"/aws/codebuild/{self.project(step)}",
                retention=LOGS_KEPT,
                removal_policy=RemovalPolicy.DESTROY,
            )
        return self._logs[step]

    def finish(self) -> None:
        """Explain what cdk-nag finds in the projects, which exist once the pipeline is built."""
        for step in self._privileged:
            excuse(step.project, "AwsSolutions-CB3", "It builds images: Docker in CodeBuild needs privileged mode.")

    def _project_arn(self, step: str) -> str:
        return f"arn:aws:codebuild:{self._stack.region}:{self._stack.account}:project/{self.project(step)}"

    def _own_rights(self, step: Step, spec: buildspec.BuildSpec) -> Sequence[Right]:
        rights = [log_right(self.log(step.name))]
        if spec.output is not None:
            rights += self._artifacts.writing()
        if spec.reports:
            actions = (
                "codebuild:BatchPutCodeCoverages",
                "codebuild:BatchPutTestCases",
                "codebuild:CreateReport",
                "codebuild:CreateReportGroup",
                "codebuild:UpdateReport",
            )
            # CodeBuild names a report group after the project and the name in the buildspec.
            prefix = f"arn:aws:codebuild:{self._stack.region}:{self._stack.account}:report-group"
            rights.append(Right(actions, tuple(f"{prefix}/{self.project(step.name)}-{name}" for name in spec.reports)))
        return rights


def log_right(log: logs.ILogGroup) -> Right:
    """The right to write a log."""
    return Right(("logs:CreateLogStream", "logs:PutLogEvents"), (log.log_group_arn,))


def logging(log: logs.ILogGroup) -> codebuild.LoggingOptions:
    """Builds write to this log."""
    return codebuild.LoggingOptions(cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=log))


def _cache(step: Step, spec: buildspec.BuildSpec) -> codebuild.Cache | None:
    """On the build host: quick to restore, and a lost cache costs time only."""
    modes = [
        *([codebuild.LocalCacheMode.CUSTOM] if spec.caches else []),
        *([codebuild.LocalCacheMode.DOCKER_LAYER] if step.docker else []),
    ]
    return codebuild.Cache.local(*modes) if modes else None
