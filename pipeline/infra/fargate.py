"""The tasks of an environment: an ECS cluster, a task definition for each container, and the bucket of their data."""

from collections.abc import Mapping, Sequence

from aws_cdk import CfnDeletionPolicy, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from pipeline import names
from pipeline.images.containers import Container
from pipeline.infra import access, declared, task_names
from pipeline.infra.access import Right
from pipeline.infra.nag import excuse, excuse_resource
from pipeline.infra.place import Place
from pipeline.infra.registry import PULL
from pipeline.infra.storage import private_bucket
from pipeline.settings import Settings

LOGS_KEPT = logs.RetentionDays.THREE_MONTHS
OVERWRITTEN_DATA_KEPT = Duration.days(30)  # time to notice that a task has written nonsense


class TasksStack(Stack):
    """What Airflow starts."""

    def __init__(
        self,
        scope: Construct,
        settings: Settings,
        environment: str,
        *,
        vpc: ec2.IVpc,
        registry: Place,
        containers: Sequence[Container],
        tags: Mapping[str, str],
    ) -> None:
        """Compose it.

        Args:
            scope: The environment's stage.
            settings: The project's.
            environment: The environment's name.
            vpc: Its network.
            registry: Where the images are: the pipeline's place.
            containers: The project's.
            tags: Container → content tag.
        """
        name = names.stack(settings, environment, "tasks")
        super().__init__(scope, "tasks", stack_name=name, description=f"{name}: what Airflow starts on Fargate")
        self._settings = settings
        self._environment = environment
        self._registry = registry
        self._path = task_names.role_path(settings, environment)
        self._data = private_bucket(
            self,
            "Data",
            versioned=True,
            lifecycle=[s3.LifecycleRule(id="overwritten", noncurrent_version_expiration=OVERWRITTEN_DATA_KEPT)],
        )
        self._log = logs.LogGroup(
            self,
            "Log",
            log_group_name=task_names.log_group(settings, environment),
            retention=LOGS_KEPT,
            # Why a task failed is asked after it is gone. A log whose stack was never created is in the way.
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        cluster = ecs.CfnCluster(
            self,
            "Cluster",
            cluster_name=task_names.cluster(settings, environment),
            capacity_providers=["FARGATE"],
            cluster_settings=[ecs.CfnCluster.ClusterSettingsProperty(name="containerInsights", value="enabled")],
        )
        group = ec2.SecurityGroup(
            self, "SecurityGroup", vpc=vpc, description=f"Tasks of {name}: they call out, nobody calls them"
        )
        tasks = [container for container in containers if container.task]
        start_role = self._start_role(tasks)
        definitions = {task.name: self._definition(task, tags[task.name], start_role) for task in tasks}
        self._output(names.Outputs.CLUSTER, cluster.ref)
        self._output(names.Outputs.SUBNETS, ",".join(subnet.subnet_id for subnet in vpc.private_subnets))
        self._output(names.Outputs.SECURITY_GROUP, group.security_group_id)
        self._output(names.Outputs.DATA_BUCKET, self._data.bucket_name)
        self._output(names.Outputs.LOG_GROUP, self._log.log_group_name)
        self._output(names.Outputs.TASK_DEFINITIONS, self.to_json_string(definitions))

    def _output(self, key: str, value: str) -> None:
        CfnOutput(self, f"Output{key}", value=value).override_logical_id(key)

    def _definition(self, container: Container, tag: str, start_role: iam.Role) -> str:
        """ARN of the task definition's revision that this commit describes."""
        definition = ecs.CfnTaskDefinition(
            self,
            f"Task-{container.name}",
            family=task_names.family(self._settings, self._environment, container.name),
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(container.cpu),
            memory=str(container.memory),
            runtime_platform=ecs.CfnTaskDefinition.RuntimePlatformProperty(
                cpu_architecture=container.architecture, operating_system_family="LINUX"
            ),
            execution_role_arn=start_role.role_arn,
            task_role_arn=self._task_role(container).role_arn,
            container_definitions=[self._container(container, tag)],
        )
        # A release pins revisions. One that CloudFormation deregistered could start no task any more: not in the middle
        # of a deploy, and not after a rollback.
        definition.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
        definition.cfn_options.deletion_policy = CfnDeletionPolicy.RETAIN
        excuse(definition, "AwsSolutions-ECS2", "container.toml keeps secrets apart, in `secrets`; these are none.")
        return definition.ref

    def _container(self, container: Container, tag: str) -> ecs.CfnTaskDefinition.ContainerDefinitionProperty:
        variables = {**container.environment, names.DATA_BUCKET_VARIABLE: self._data.bucket_name}
        secrets = declared.secrets(container, self.account, self.region)
        repository = names.image_repository(self._settings, container.name)
        registry = f"{self._registry.account}.dkr.ecr.{self._registry.region}.amazonaws.com"
        return ecs.CfnTaskDefinition.ContainerDefinitionProperty(
            name=container.name,
            image=f"{registry}/{repository}:{tag}",
            essential=True,
            environment=[
                ecs.CfnTaskDefinition.KeyValuePairProperty(name=key, value=value)
                for key, value in sorted(variables.items())
            ],
            secrets=[
                ecs.CfnTaskDefinition.SecretProperty(name=secret.variable, value_from=secret.value_from)
                for secret in secrets
            ]
            or None,
            log_configuration=ecs.CfnTaskDefinition.LogConfigurationProperty(
                log_driver="awslogs",
                options={
                    "awslogs-group": self._log.log_group_name,
                    "awslogs-region": self.region,
                    "awslogs-stream-prefix": container.name,
                },
            ),
        )

    def _start_role(self, tasks: Sequence[Container]) -> iam.Role:
        """The role with which ECS pulls images, reads secrets and opens logs, before any of our code runs."""
        rights = [
            Right(
                ("ecr:GetAuthorizationToken",), ("*",), why_so_wide="The log-in to ECR has no repository; pulls have."
            ),
            Right(("logs:CreateLogStream", "logs:PutLogEvents"), (self._log.log_group_arn,)),
        ]
        if tasks:
            prefix = f"arn:aws:ecr:{self._registry.region}:{self._registry.account}:repository"
            repositories = [f"{prefix}/{names.image_repository(self._settings, task.name)}" for task in tasks]
            rights.append(Right(PULL, tuple(repositories)))
        secrets = {
            (secret.action, secret.resource)
            for task in tasks
            for secret in declared.secrets(task, self.account, self.region)
        }
        rights += [Right((action,), (resource,)) for action, resource in sorted(secrets)]
        return access.role(
            self,
            "StartRole",
            rights,
            trusted=access.service("ecs-tasks", SourceAccount=self.account),
            description="ECS starts tasks with it",
            path=self._path,
        )

    def _task_role(self, container: Container) -> iam.Role:
        """What the container's own code may do: what its container.toml says, and nothing else."""
        role = access.role(
            self,
            f"Role-{container.name}",
            (),
            trusted=access.service("ecs-tasks", SourceAccount=self.account),
            description=f"The code in the container {container.name}",
            path=self._path,
        )
        values = {
            "DataBucketArn": self._data.bucket_arn,
            "AccountId": self.account,
            "Region": self.region,
            "Environment": self._environment,
        }
        for statement in declared.statements(container, values):
            role.add_to_policy(iam.PolicyStatement.from_json(statement))
            resources = statement["Resource"]
            for resource in [resources] if isinstance(resources, str) else resources:
                if "*" in resource:
                    excuse_resource(role, resource, f"Written by the team, in {container.folder}/container.toml.")
        return role
