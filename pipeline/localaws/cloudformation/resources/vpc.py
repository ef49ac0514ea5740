"""AWS::EC2::VPC, Subnet, InternetGateway, VPCGatewayAttachment, VPCEndpoint and FlowLog."""

import json
from typing import Any

from pipeline.localaws.cloudformation.resources.network import NOT_FOUND, Ec2Provider, chosen, tag
from pipeline.localaws.cloudformation.resources.provider import Provider, Request, ResourceError, unless_gone
from pipeline.localaws.cloudformation.template import Document


class Vpc(Ec2Provider):
    """A virtual network."""

    type = "AWS::EC2::VPC"
    implemented = frozenset({"CidrBlock", "EnableDnsHostnames", "EnableDnsSupport", "InstanceTenancy", "Tags"})
    replaced_by = (("InstanceTenancy",),)

    def create(self, request: Request) -> str:
        """Make it, then its DNS."""
        made = request.client("ec2").create_vpc(**chosen(request.properties, "CidrBlock", "InstanceTenancy"))
        vpc = str(made["Vpc"]["VpcId"])
        request.note(vpc)
        self.update(request, vpc, {})
        return vpc

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """DNS and tags."""
        wanted = request.properties
        # EC2 takes one attribute a call. Defaults: support on, host names off.
        for name, default in (("EnableDnsSupport", True), ("EnableDnsHostnames", False)):
            if wanted.get(name, default) != before.get(name, default):
                request.client("ec2").modify_vpc_attribute(
                    VpcId=physical_id, **{name: {"Value": wanted.get(name, default)}}
                )
        tag(request, physical_id, before)

    def delete(self, request: Request, physical_id: str) -> None:
        """Delete it."""
        with unless_gone(NOT_FOUND):
            request.client("ec2").delete_vpc(VpcId=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:
        """Its id and what EC2 made with it."""
        ec2 = request.client("ec2")
        here = [{"Name": "vpc-id", "Values": [physical_id]}]
        vpc = ec2.describe_vpcs(VpcIds=[physical_id])["Vpcs"][0]
        groups = ec2.describe_security_groups(Filters=[*here, {"Name": "group-name", "Values": ["default"]}])
        lists = ec2.describe_network_acls(Filters=[*here, {"Name": "default", "Values": ["true"]}])
        return {
            "VpcId": physical_id,
            "CidrBlock": vpc["CidrBlock"],
            "CidrBlockAssociations": [found["AssociationId"] for found in vpc.get("CidrBlockAssociationSet", [])],
            "Ipv6CidrBlocks": [found["Ipv6CidrBlock"] for found in vpc.get("Ipv6CidrBlockAssociationSet", [])],
            "DefaultSecurityGroup": next((group["GroupId"] for group in groups["SecurityGroups"]), ""),
            "DefaultNetworkAcl": next((acl["NetworkAclId"] for acl in lists["NetworkAcls"]), ""),
        }


class Subnet(Ec2Provider):
    """A part of a virtual network in one zone."""

    type = "AWS::EC2::Subnet"
    implemented = frozenset({"AvailabilityZone", "CidrBlock", "MapPublicIpOnLaunch", "Tags", "VpcId"})

    def create(self, request: Request) -> str:
        """Make it."""
        given = chosen(request.properties, "VpcId", "CidrBlock", "AvailabilityZone")
        subnet = str(request.client("ec2").create_subnet(**given)["Subnet"]["SubnetId"])
        request.note(subnet)
        self.update(request, subnet, {})
        return subnet

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Public addresses and tags."""
        public = request.properties.get("MapPublicIpOnLaunch", False)
        if public != before.get("MapPublicIpOnLaunch", False):
            request.client("ec2").modify_subnet_attribute(SubnetId=physical_id, MapPublicIpOnLaunch={"Value": public})
        tag(request, physical_id, before)

    def delete(self, request: Request, physical_id: str) -> None:
        """Delete it."""
        with unless_gone(NOT_FOUND):
            request.client("ec2").delete_subnet(SubnetId=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:
        """Its id, zone and addresses."""
        ec2 = request.client("ec2")
        subnet = ec2.describe_subnets(SubnetIds=[physical_id])["Subnets"][0]
        lists = ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [physical_id]}])
        associations = [
            association["NetworkAclAssociationId"]
            for found in lists["NetworkAcls"]
            for association in found["Associations"]
            if association["SubnetId"] == physical_id
        ]
        return {
            **chosen(subnet, "SubnetId", "AvailabilityZone", "AvailabilityZoneId", "CidrBlock", "VpcId"),
            "Ipv6CidrBlocks": [],
            "NetworkAclAssociationId": next(iter(associations), ""),
        }


class InternetGateway(Ec2Provider):
    """The way to the internet."""

    type = "AWS::EC2::InternetGateway"
    implemented = frozenset({"Tags"})

    def create(self, request: Request) -> str:
        """Make it."""
        gateway = str(request.client("ec2").create_internet_gateway()["InternetGateway"]["InternetGatewayId"])
        request.note(gateway)
        tag(request, gateway, {})
        return gateway

    def delete(self, request: Request, physical_id: str) -> None:
        """Delete it."""
        with unless_gone(NOT_FOUND):
            request.client("ec2").delete_internet_gateway(InternetGatewayId=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - its id says it all
        """Its id."""
        return {"InternetGatewayId": physical_id}


class VpcGatewayAttachment(Provider):
    """An internet gateway at a virtual network."""

    type = "AWS::EC2::VPCGatewayAttachment"
    implemented = frozenset({"InternetGatewayId", "VpcId"})
    replaced_by = (("InternetGatewayId",),)

    def create(self, request: Request) -> str:
        """Attach it."""
        request.client("ec2").attach_internet_gateway(**chosen(request.properties, "InternetGatewayId", "VpcId"))
        return f"IGW|{request.properties['VpcId']}"

    def delete(self, request: Request, physical_id: str) -> None:  # noqa: ARG002 - EC2 knows no id
        """Detach it."""
        with unless_gone(NOT_FOUND, "Gateway.NotAttached"):
            request.client("ec2").detach_internet_gateway(**chosen(request.properties, "InternetGatewayId", "VpcId"))

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - it has no others
        """What kind of gateway it is."""
        return {"AttachmentType": "IGW"}


class VpcEndpoint(Ec2Provider):
    """A private way from a virtual network to a service."""

    type = "AWS::EC2::VPCEndpoint"
    implemented = frozenset(
        {
            "PolicyDocument",
            "PrivateDnsEnabled",
            "RouteTableIds",
            "SecurityGroupIds",
            "ServiceName",
            "SubnetIds",
            "Tags",
            "VpcEndpointType",
            "VpcId",
        }
    )

    def create(self, request: Request) -> str:
        """Make it."""
        wanted = request.properties
        given = chosen(wanted, *(self.implemented - {"PolicyDocument", "Tags"}))
        if "PolicyDocument" in wanted:
            given["PolicyDocument"] = _text(wanted["PolicyDocument"])
        endpoint = str(request.client("ec2").create_vpc_endpoint(**given)["VpcEndpoint"]["VpcEndpointId"])
        request.note(endpoint)
        tag(request, endpoint, {})
        return endpoint

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Where it can be reached from, its policy and tags."""
        wanted = request.properties
        changes: dict[str, Any] = {}
        for name, word in (
            ("RouteTableIds", "RouteTableIds"),
            ("SubnetIds", "SubnetIds"),
            ("SecurityGroupIds", "SecurityGroupIds"),
        ):
            old, new = before.get(name, []), wanted.get(name, [])
            changes[f"Add{word}"] = [item for item in new if item not in old]
            changes[f"Remove{word}"] = [item for item in old if item not in new]
        changes = {name: items for name, items in changes.items() if items}
        if wanted.get("PrivateDnsEnabled") != before.get("PrivateDnsEnabled"):
            changes["PrivateDnsEnabled"] = wanted.get("PrivateDnsEnabled", False)
        if wanted.get("PolicyDocument") != before.get("PolicyDocument"):
            policy = wanted.get("PolicyDocument")
            changes |= {"PolicyDocument": _text(policy)} if policy else {"ResetPolicy": True}
        if changes:
            request.client("ec2").modify_vpc_endpoint(VpcEndpointId=physical_id, **changes)
        tag(request, physical_id, before)

    def delete(self, request: Request, physical_id: str) -> None:
        """Delete it."""
        with unless_gone(NOT_FOUND):
            request.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[physical_id])

    def attributes(self, request: Request, physical_id: str) -> Document:
        """Its id, and what it made in the network."""
        found = request.client("ec2").describe_vpc_endpoints(VpcEndpointIds=[physical_id])["VpcEndpoints"][0]
        names = [f"{entry['HostedZoneId']}:{entry['DnsName']}" for entry in found.get("DnsEntries", []) if entry]
        return {
            "Id": physical_id,
            "DnsEntries": names,
            "NetworkInterfaceIds": found.get("NetworkInterfaceIds", []),
            "CreationTimestamp": str(found.get("CreationTimestamp", "")),
        }


class FlowLog(Ec2Provider):
    """What travels in a network, written to a log."""

    type = "AWS::EC2::FlowLog"
    implemented = frozenset(
        {
            "DeliverLogsPermissionArn",
            "LogDestination",
            "LogDestinationType",
            "LogFormat",
            "LogGroupName",
            "MaxAggregationInterval",
            "ResourceId",
            "ResourceType",
            "Tags",
            "TrafficType",
        }
    )

    def create(self, request: Request) -> str:
        """Make it."""
        given = chosen(request.properties, *(self.implemented - {"ResourceId", "Tags"}))
        made = request.client("ec2").create_flow_logs(ResourceIds=[request.properties["ResourceId"]], **given)
        for failed in made.get("Unsuccessful", []):
            raise ResourceError(f"{failed['Error']['Message']} (Error Code: {failed['Error']['Code']})")
        log = str(made["FlowLogIds"][0])
        request.note(log)
        tag(request, log, {})
        return log

    def delete(self, request: Request, physical_id: str) -> None:
        """Delete it; what it wrote stays."""
        with unless_gone(NOT_FOUND):
            request.client("ec2").delete_flow_logs(FlowLogIds=[physical_id])

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - its id says it all
        """Its id."""
        return {"Id": physical_id}


def _text(policy: Any) -> str:
    return policy if isinstance(policy, str) else json.dumps(policy)
