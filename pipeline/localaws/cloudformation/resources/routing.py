"""AWS::EC2::RouteTable, Route, SubnetRouteTableAssociation, NatGateway and EIP."""

from pipeline.localaws.cloudformation.resources.network import NOT_FOUND, Ec2Provider, chosen, tag
from pipeline.localaws.cloudformation.resources.provider import Provider, Request, ResourceError, unless_gone
from pipeline.localaws.cloudformation.template import Document

_DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
_TARGETS = ("GatewayId", "NatGatewayId", "EgressOnlyInternetGatewayId", "VpcPeeringConnectionId", "VpcEndpointId")


class RouteTable(Ec2Provider):
    """A table of routes."""

    type = "AWS::EC2::RouteTable"
    implemented = frozenset({"Tags", "VpcId"})

    def create(self, request: Request) -> str:
        """Make it."""
        made = request.client("ec2").create_route_table(VpcId=request.properties["VpcId"])
        table = str(made["RouteTable"]["RouteTableId"])
        request.note(table)
        tag(request, table, {})
        return table

    def delete(self, request: Request, physical_id: str) -> None:
        """Delete it."""
        with unless_gone(NOT_FOUND):
            request.client("ec2").delete_route_table(RouteTableId=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - its id says it all
        """Its id."""
        return {"RouteTableId": physical_id}


class Route(Provider):
    """One route of a table."""

    type = "AWS::EC2::Route"
    implemented = frozenset({*_DESTINATIONS, *_TARGETS, "RouteTableId"})

    def create(self, request: Request) -> str:
        """Make it."""
        request.client("ec2").create_route(**request.properties)
        return f"{request.properties['RouteTableId']}|{self._destination(request)}"

    def update(self, request: Request, physical_id: str, before: Document) -> None:  # noqa: ARG002 - EC2 knows no id
        """Let it lead elsewhere."""
        request.client("ec2").replace_route(**request.properties)

    def delete(self, request: Request, physical_id: str) -> None:  # noqa: ARG002 - EC2 knows no id
        """Delete it."""
        with unless_gone(NOT_FOUND):
            request.client("ec2").delete_route(**chosen(request.properties, "RouteTableId", *_DESTINATIONS))

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - EC2 knows no id
        """Where it leads to."""
        return {"CidrBlock": self._destination(request)}

    def _destination(self, request: Request) -> str:
        found = list(chosen(request.properties, *_DESTINATIONS).values())
        if len(found) != 1:
            raise ResourceError(f"exactly one of {', '.join(_DESTINATIONS)} must be given")
        return str(found[0])


class SubnetRouteTableAssociation(Provider):
    """Which table a subnet's traffic follows."""

    type = "AWS::EC2::SubnetRouteTableAssociation"
    implemented = frozenset({"RouteTableId", "SubnetId"})

    def create(self, request: Request) -> str:
        """Associate them."""
        made = request.client("ec2").associate_route_table(**chosen(request.properties, "RouteTableId", "SubnetId"))
        return str(made["AssociationId"])

    def delete(self, request: Request, physical_id: str) -> None:
        """Dissociate them."""
        with unless_gone(NOT_FOUND):
            request.client("ec2").disassociate_route_table(AssociationId=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - its id says it all
        """Its id."""
        return {"Id": physical_id}


class NatGateway(Ec2Provider):
    """The way out for private subnets."""

    type = "AWS::EC2::NatGateway"
    implemented = frozenset({"AllocationId", "ConnectivityType", "SubnetId", "Tags"})

    def create(self, request: Request) -> str:
        """Make it and wait."""
        ec2 = request.client("ec2")
        made = ec2.create_nat_gateway(**chosen(request.properties, "AllocationId", "ConnectivityType", "SubnetId"))
        gateway = str(made["NatGateway"]["NatGatewayId"])
        request.note(gateway)
        request.wait(lambda: self._state(request, gateway) != "pending")
        if self._state(request, gateway) != "available":
            raise ResourceError(f"the NAT gateway {gateway} became {self._state(request, gateway)}")
        tag(request, gateway, {})
        return gateway

    def delete(self, request: Request, physical_id: str) -> None:
        """Delete it and wait, for its address can be released only then."""
        with unless_gone(NOT_FOUND, "NatGatewayNotFound"):
            request.client("ec2").delete_nat_gateway(NatGatewayId=physical_id)
            request.wait(lambda: self._state(request, physical_id) in {"deleted", ""})

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - its id says it all
        """Its id."""
        return {"NatGatewayId": physical_id}

    def _state(self, request: Request, gateway: str) -> str:
        found = request.client("ec2").describe_nat_gateways(NatGatewayIds=[gateway])["NatGateways"]
        return str(found[0]["State"]) if found else ""


class ElasticIp(Ec2Provider):
    """A public address; `Ref` is the address itself."""

    type = "AWS::EC2::EIP"
    implemented = frozenset({"Domain", "Tags"})
    replaced_by = (("Domain",),)

    def create(self, request: Request) -> str:
        """Allocate it."""
        made = request.client("ec2").allocate_address(Domain=request.properties.get("Domain", "vpc"))
        request.note(str(made["PublicIp"]))
        tag(request, made["AllocationId"], {})
        return str(made["PublicIp"])

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Tags."""
        tag(request, self.attributes(request, physical_id)["AllocationId"], before)

    def delete(self, request: Request, physical_id: str) -> None:
        """Release it."""
        with unless_gone(NOT_FOUND):
            allocation = self.attributes(request, physical_id)["AllocationId"]
            request.client("ec2").release_address(AllocationId=allocation)

    def attributes(self, request: Request, physical_id: str) -> Document:
        """Its address and allocation."""
        found = request.client("ec2").describe_addresses(PublicIps=[physical_id])["Addresses"][0]
        return {"PublicIp": physical_id, "AllocationId": found["AllocationId"]}
