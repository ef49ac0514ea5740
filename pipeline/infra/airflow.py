"""Airflow of an environment: the MWAA environment, its bucket, and the two roles around it."""

from collections.abc import Sequence

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_mwaa as mwaa
from aws_cdk import aws_s3 as s3
from constructs import Construct

from pipeline import names
from pipeline.images.containers import Container
from pipeline.infra import access
from pipeline.infra.access import Right
from pipeline.infra.airflow_rights import Surroundings, execution_rights, reader_rights, release_rights
from pipeline.infra.place import Place
from pipeline.infra.storage import private_bucket
from pipeline.settings import Settings


class AirflowStack(Stack):
    """What orchestrates."""

    def __init__(
        self,
        scope: Construct,
        settings: Settings,
        environment: str,
        *,
        vpc: ec2.IVpc,
        pipeline: Place,
        containers: Sequence[Container],
    ) -> None:
        """Compose it.

        Args:
            scope: The environment's stage.
            settings: The project's.
            environment: The environment's name.
            vpc: Its network.
            pipeline: Where the pipeline is, whose sync step publishes.
            containers: The project's: what it may start.
        """
        name = names.stack(settings, environment, "airflow")
        super().__init__(scope, "airflow", stack_name=name, description=f"{name}: MWAA and its bucket")
        # Versioned: MWAA asks for it, and a release is a set of object versions.
        bucket = private_bucket(self, "Dags", versioned=True)
        around = Surroundings(
            settings=settings,
            environment=environment,
            place=Place(self.account, self.region),
            bucket=bucket.bucket_arn,
            tasks=tuple(container.name for container in containers if container.task),
        )
        execution_role = access.role(
            self,
            "ExecutionRole",
            execution_rights(around),
            trusted=iam.CompositePrincipal(
                access.service("airflow", SourceAccount=self.account),
                access.service("airflow-env", SourceAccount=self.account),
            ),
            description=f"Airflow of {names.airflow_environment(settings, environment)}",
        )
        airflow = _environment(self, settings, environment, vpc=vpc, bucket=bucket, execution_role=execution_role)
        self._role_for_steps(
            "ReleaseRole",
            names.release_role(settings, environment, self.account),
            release_rights(around, execution_role.role_arn),
            takers=[_step_role(settings, pipeline, f"sync-{environment}")],
            around=around,
        )
        self._role_for_steps(
            "ReaderRole",
            names.reader_role(settings, environment, self.account),
            reader_rights(around),
            takers=[_step_role(settings, pipeline, f"dossier-{environment}")],
            around=around,
        )
        self._output(names.Outputs.BUCKET, bucket.bucket_name)
        self._output(names.Outputs.AIRFLOW_ENVIRONMENT, airflow.ref)

    def _output(self, key: str, value: str) -> None:
        CfnOutput(self, f"Output{key}", value=value).override_logical_id(key)

    def _role_for_steps(
        self, construct: str, arn: str, rights: Sequence[Right], *, takers: Sequence[str], around: Surroundings
    ) -> None:
        """A role that a step of the pipeline takes here, and whoever the settings let release by hand."""
        allowed = sorted({*takers, *around.settings.environment(around.environment).releasers})
        accounts = sorted({taker.split(":")[4] for taker in allowed})
        trusted = [
            # By account and condition: a trust policy that names a role breaks when that role is made anew.
            iam.AccountPrincipal(account).with_conditions({"ArnEquals": {"aws:PrincipalArn": allowed}})
            for account in accounts
        ]
        access.role(
            self,
            construct,
            rights,
            trusted=trusted[0] if len(trusted) == 1 else iam.CompositePrincipal(*trusted),
            description=f"For releases to {around.airflow}: {construct}",
            role_name=arn.rpartition("/")[2],
        )


def _step_role(settings: Settings, pipeline: Place, step: str) -> str:
    return f"arn:aws:iam::{pipeline.account}:role/{settings.name}-{step}"


def _environment(
    stack: Stack,
    settings: Settings,
    environment: str,
    *,
    vpc: ec2.IVpc,
    bucket: s3.IBucket,
    execution_role: iam.Role,
) -> mwaa.CfnEnvironment:
    """The MWAA environment. Requirements, plugins and startup script are the release's business, not the template's."""
    wanted = settings.environment(environment)
    name = names.airflow_environment(settings, environment)
    group = ec2.SecurityGroup(
        stack, "SecurityGroup", vpc=vpc, description=f"Airflow {name}: its parts reach each other"
    )
    group.add_ingress_rule(group, ec2.Port.all_traffic(), "Airflow's parts among themselves")
    logged = mwaa.CfnEnvironment.ModuleLoggingConfigurationProperty(enabled=True, log_level="INFO")
    made = mwaa.CfnEnvironment(
        stack,
        "Airflow",
        name=name,
        airflow_version=settings.airflow.version,
        environment_class=wanted.airflow_class,
        min_workers=wanted.min_workers,
        max_workers=wanted.max_workers,
        worker_replacement_strategy=wanted.worker_replacement,  # as a release does: an upgrade replaces them, too
        airflow_configuration_options=dict(wanted.airflow_options) or None,
        source_bucket_arn=bucket.bucket_arn,
        dag_s3_path="dags",
        execution_role_arn=execution_role.role_arn,
        network_configuration=mwaa.CfnEnvironment.NetworkConfigurationProperty(
            subnet_ids=[subnet.subnet_id for subnet in vpc.private_subnets],
            security_group_ids=[group.security_group_id],
        ),
        # People sign in through IAM; reaching it needs no VPN.
        webserver_access_mode="PUBLIC_ONLY",
        logging_configuration=mwaa.CfnEnvironment.LoggingConfigurationProperty(
            dag_processing_logs=logged,
            scheduler_logs=logged,
            task_logs=logged,
            webserver_logs=logged,
            worker_logs=logged,
        ),
    )
    # MWAA checks at once what the role may do.
    policy = execution_role.node.find_child("DefaultPolicy")
    made.node.add_dependency(policy)
    return made
