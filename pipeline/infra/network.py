"""The network of an environment: Airflow and the tasks run in private subnets and reach AWS through one gateway."""

from aws_cdk import Fn, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from pipeline import names
from pipeline.settings import Settings

ZONES = 2  # MWAA takes exactly two private subnets, in two zones (MWAA user guide, "About networking")


class NetworkStack(Stack):
    """A VPC with two zones."""

    def __init__(self, scope: Construct, settings: Settings, environment: str) -> None:
        name = names.stack(settings, environment, "network")
        super().__init__(scope, "network", stack_name=name, description=f"{name}: VPC and subnets")
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            vpc_name=name,
            max_azs=ZONES,
            nat_gateways=1,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24),
                ec2.SubnetConfiguration(name="private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=20),
            ],
            # The default security group can only be emptied by a Lambda function; nothing of ours uses it.
            restrict_default_security_group=False,
            # Data goes to S3 without passing, and paying, the NAT gateway.
            gateway_endpoints={"S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)},
        )
        self._flow_logs(name)

    @property
    def availability_zones(self) -> list[str]:
        """The region's first zones, as the region numbers them when the stack is deployed: synth asks AWS nothing."""
        return [Fn.select(zone, Fn.get_azs()) for zone in range(ZONES)]

    def _flow_logs(self, name: str) -> None:
        group = logs.LogGroup(
            self,
            "FlowLogs",
            log_group_name=f"/{name}/flow",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        role = iam.Role(self, "FlowLogsRole", assumed_by=iam.ServicePrincipal("vpc-flow-logs.amazonaws.com"))
        ec2.CfnFlowLog(
            self,
            "FlowLog",
            resource_id=self.vpc.vpc_id,
            resource_type="VPC",
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_group_name=group.log_group_name,
            deliver_logs_permission_arn=role.role_arn,
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                resources=[group.log_group_arn],
            )
        )
