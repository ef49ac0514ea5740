"""A small CDK app: a network, a bucket, a role and a task definition, as our own stacks have them.

Context: `greeting` is an environment variable of the task; `broken` adds a resource that AWS will refuse.
"""

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

app = cdk.App()
stack = cdk.Stack(app, "sample", env=cdk.Environment(account="123456789012", region="eu-west-1"))

vpc = ec2.Vpc(stack, "Network", max_azs=2, nat_gateways=1, restrict_default_security_group=False)
vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
vpc.add_flow_log("FlowLog")
ec2.SecurityGroup(stack, "Group", vpc=vpc).add_ingress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443))
bucket = s3.Bucket(
    stack,
    "Data",
    versioned=True,
    enforce_ssl=True,
    block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
    removal_policy=cdk.RemovalPolicy.DESTROY,
)
ecs.Cluster(stack, "Cluster", vpc=vpc)
group = logs.LogGroup(stack, "Log", removal_policy=cdk.RemovalPolicy.DESTROY, retention=logs.RetentionDays.ONE_WEEK)
task = ecs.FargateTaskDefinition(stack, "Task", cpu=256, memory_limit_mib=512)
task.add_container(
    "main",
    image=ecs.ContainerImage.from_registry("public.ecr.aws/nobody/nothing:1"),
    environment={"GREETING": app.node.try_get_context("greeting") or "hello"},
    logging=ecs.LogDrivers.aws_logs(stream_prefix="task", log_group=group),
)
bucket.grant_read_write(task.task_role)
cdk.CfnOutput(stack, "TaskDefinition", value=task.task_definition_arn)
cdk.CfnOutput(stack, "Bucket", value=bucket.bucket_name, export_name="sample-bucket")

if app.node.try_get_context("broken"):
    role = iam.Role(stack, "Broken", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    role.add_managed_policy(iam.ManagedPolicy.from_aws_managed_policy_name("NoSuchPolicyAnywhere"))
    role.node.add_dependency(task)

app.synth()
