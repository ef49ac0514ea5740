"""The pipeline: the way of a commit from the repository to the environments."""

from collections.abc import Mapping, Sequence

from aws_cdk import RemovalPolicy, Stack, pipelines
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codecommit as codecommit
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

from pipeline import names
from pipeline.images.containers import Container
from pipeline.infra import approval_request, build_steps, pipeline_roles, registry, registry_secrets, steps
from pipeline.infra.artifacts import Artifacts
from pipeline.infra.environment import EnvironmentStage
from pipeline.infra.place import Place, of_environment
from pipeline.settings import Settings


class PipelineStack(Stack):
    """The repository, the pipeline with its build steps, the image repositories, and below it every environment.

    Source ─ Build (synth) ─ UpdatePipeline ─ TestAndBuild (side by side) ─ a stage for each environment, in order
    """

    def __init__(
        self,
        scope: Construct,
        settings: Settings,
        *,
        place: Place,
        containers: Sequence[Container],
        tags: Mapping[str, str],
        cli_version: str,
    ) -> None:
        """Compose it.

        Args:
            scope: The app.
            settings: The project's.
            place: Where the pipeline is.
            containers: The project's.
            tags: Container → content tag.
            cli_version: The CDK CLI that updates the pipeline: the one package.json pins, 3.x cannot read our assembly.
        """
        name = names.pipeline_stack(settings)
        super().__init__(scope, name, env=place.env(), description=f"{name}: the way of a commit")
        self._settings = settings
        self._place = place
        self._places = {
            environment: of_environment(settings, environment, place) for environment in settings.environments
        }
        self._deployers = deployers = sorted({there.bootstrap_role("deploy") for there in self._places.values()})
        self._artifacts = Artifacts(self, names.code_pipeline(settings), readers=deployers)
        self._images = [repository.repository_arn for repository in self._registry(containers)]

        repository = codecommit.Repository(self, "Repository", repository_name=settings.repository)
        repository.apply_removal_policy(
            RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
        )  # nobody loses their history to a template
        # By name: CDK derives the names of artifacts and variables from it, and hashes one that is only known later.
        named = codecommit.Repository.from_repository_name(self, "NamedRepository", settings.repository)
        self._repository = named.repository_arn
        self._source = pipelines.CodePipelineSource.code_commit(named, settings.branch, action_name="Source")
        self._steps = build_steps.BuildSteps(self, names.code_pipeline(settings), self._source, self._artifacts)
        role = pipeline_roles.pipeline_role(self, names.code_pipeline(settings), repository, deployers, self._artifacts)
        way = self._begin(role, cli_version)
        self._test(way)
        self._synced: dict[str, pipelines.CodeBuildStep] = {}
        for environment in settings.environments:
            self._deploy(way, environment, containers, tags)

        way.build_pipeline()
        self._steps.finish()
        way.pipeline.node.add_dependency(repository)
        pipeline_roles.let_build(role, self._steps)
        pipeline_roles.let_replicate(role, way.pipeline, self._artifacts)
        pipeline_roles.narrow_self_mutation(way, self._steps, self._artifacts, [place, *self._places.values()])

    def _registry(self, containers: Sequence[Container]) -> Sequence[ecr.Repository]:
        others = sorted({there.account for there in self._places.values()} - {self._place.account})
        return registry.repositories(self, self._settings, containers, pulling_accounts=others)

    def _begin(self, role: iam.Role, cli_version: str) -> pipelines.CodePipeline:
        """Source, synth and self-mutation. What CDK Pipelines cannot say is said on the pipeline under it."""
        under = codepipeline.Pipeline(
            self,
            "Pipeline",
            pipeline_name=names.code_pipeline(self._settings),
            pipeline_type=codepipeline.PipelineType.V2,
            execution_mode=codepipeline.ExecutionMode[self._settings.execution_mode],
            restart_execution_on_update=True,  # the new structure carries the commit that brought it
            artifact_bucket=self._artifacts.closed(),
            role=role.without_policy_updates(),
            use_pipeline_role_for_actions=True,
        )
        return pipelines.CodePipeline(
            self,
            "Way",
            code_pipeline=under,
            use_pipeline_role_for_actions=True,
            synth=self._steps.make(steps.synth()),
            cli_version=cli_version,
            self_mutation_code_build_defaults=pipelines.CodeBuildOptions(
                build_environment=codebuild.BuildEnvironment(build_image=build_steps.BUILD_IMAGE),
                timeout=steps.TESTS,
                logging=build_steps.logging(self._steps.log(pipeline_roles.UPDATE)),
            ),
        )

    def _test(self, way: pipelines.CodePipeline) -> None:
        """Side by side: an image that nobody references yet harms nobody."""
        secrets = registry_secrets.reading(self._settings, self._place.account, self._place.region)
        builds = steps.build_images(self._images, secrets)
        wanted = (*steps.tests(secrets), builds, steps.clear(self._deployers))
        made = [self._steps.make(step) for step in wanted]
        way.add_wave("TestAndBuild", pre=made)
        self._evidence = {f"reports/{step.id}": step for step in made if step.primary_output is not None}

    def _deploy(
        self,
        way: pipelines.CodePipeline,
        environment: str,
        containers: Sequence[Container],
        tags: Mapping[str, str],
    ) -> None:
        """Approval if the settings want it, the stacks in their order, then the DAGs."""
        there = self._places[environment]
        stage = EnvironmentStage(
            self, self._settings, environment, place=there, registry=self._place, containers=containers, tags=tags
        )
        sync = self._steps.make(steps.sync(self._settings, environment, there), self._evidence)
        way.add_stage(stage, pre=self._before(environment, there), post=[sync])
        self._synced[environment] = sync

    def _before(self, environment: str, there: Place) -> list[pipelines.Step]:
        """What must happen before an environment changes: people read what will change, and say yes."""
        if not self._settings.environment(environment).approval:
            return []
        kept = f"s3://{self._artifacts.bucket.bucket_name}/{names.code_pipeline(self._settings)}/dossiers"
        dossier = self._steps.make(
            steps.dossier(
                self._settings,
                environment,
                there,
                repository=self._repository,
                kept=kept,
                writing=self._artifacts.writing(),
            ),
            self._evidence,
        )
        comment = approval_request.comment(
            environment,
            commit=self._source.source_attribute("CommitId"),
            releases={name: step.exported_variable("RELEASE") for name, step in self._synced.items()},
            dossier=dossier.exported_variable("DOSSIER"),
        )
        link = dossier.exported_variable("DOSSIER_LINK")
        approval = pipelines.ManualApprovalStep("approve", comment=comment, review_url=link)
        # CDK looks for such references in the comment only; this is how its other steps say where theirs are.
        approval._discover_referenced_outputs(link)  # noqa: SLF001 - protected in TypeScript
        return [dossier, approval]
