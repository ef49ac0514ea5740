"""AWS::EC2::SecurityGroup, SecurityGroupIngress and SecurityGroupEgress."""

from typing import Any, Final

from pipeline.localaws.cloudformation.resources.network import NOT_FOUND, Ec2Provider, chosen, tag
from pipeline.localaws.cloudformation.resources.provider import Provider, Request, ResourceError, unless_gone
from pipeline.localaws.cloudformation.template import Document

INGRESS: Final = "ingress"
EGRESS: Final = "egress"
# What EC2 puts into every new group, and CloudFormation takes out when the template says what may leave.
_ALL_MAY_LEAVE: Final = {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}


class SecurityGroup(Ec2Provider):
    """Who may talk to whom, in a group."""

    type = "AWS::EC2::SecurityGroup"
    implemented = frozenset(
        {"GroupDescription", "GroupName", "SecurityGroupEgress", "SecurityGroupIngress", "Tags", "VpcId"}
    )

    def create(self, request: Request) -> str:
        """Make it, then its rules; `Ref` is its id."""
        wanted = request.properties
        made = request.client("ec2").create_security_group(
            GroupName=wanted.get("GroupName") or request.name(),
            Description=wanted["GroupDescription"],
            **chosen(wanted, "VpcId"),
        )
        group = str(made["GroupId"])
        request.note(group)
        self._rules(request, group, {})
        tag(request, group, {})
        return group

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Rules and tags."""
        self._rules(request, physical_id, before)
        tag(request, physical_id, before)

    def delete(self, request: Request, physical_id: str) -> None:
        """Fails while something uses it, as on AWS."""
        with unless_gone(NOT_FOUND):
            request.client("ec2").delete_security_group(GroupId=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:
        """Its id and network."""
        return {"GroupId": physical_id, "Id": physical_id, **chosen(request.properties, "VpcId")}

    def _rules(self, request: Request, group: str, before: Document) -> None:
        wanted = request.properties
        ec2 = request.client("ec2")
        all_may_leave = [_ALL_MAY_LEAVE]
        sides = (
            (INGRESS, before.get("SecurityGroupIngress", []), wanted.get("SecurityGroupIngress", [])),
            (
                EGRESS,
                before.get("SecurityGroupEgress") or all_may_leave,
                wanted.get("SecurityGroupEgress") or all_may_leave,
            ),
        )
        for side, old, new in sides:
            old_rules, new_rules = [permission(rule, side) for rule in old], [permission(rule, side) for rule in new]
            for rule in [rule for rule in old_rules if rule not in new_rules]:
                with unless_gone(NOT_FOUND):
                    getattr(ec2, f"revoke_security_group_{side}")(GroupId=group, IpPermissions=[rule])
            for rule in [rule for rule in new_rules if rule not in old_rules]:
                getattr(ec2, f"authorize_security_group_{side}")(GroupId=group, IpPermissions=[rule])


class _Rule(Provider):
    """One rule, beside its group, so that two groups can name each other."""

    side: str

    def create(self, request: Request) -> str:
        """Put it."""
        wanted = request.properties
        made = getattr(request.client("ec2"), f"authorize_security_group_{self.side}")(
            GroupId=wanted["GroupId"], IpPermissions=[permission(wanted, self.side)]
        )
        rules = made.get("SecurityGroupRules") or [{}]
        return str(rules[0].get("SecurityGroupRuleId") or request.name())

    def update(self, request: Request, physical_id: str, before: Document) -> None:  # noqa: ARG002 - EC2 finds it by value
        """Only the description changes in place."""
        change = getattr(request.client("ec2"), f"update_security_group_rule_descriptions_{self.side}")
        change(GroupId=request.properties["GroupId"], IpPermissions=[permission(request.properties, self.side)])

    def delete(self, request: Request, physical_id: str) -> None:  # noqa: ARG002 - EC2 finds it by value
        """Take it away."""
        with unless_gone(NOT_FOUND):
            getattr(request.client("ec2"), f"revoke_security_group_{self.side}")(
                GroupId=request.properties["GroupId"], IpPermissions=[permission(request.properties, self.side)]
            )

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - its id says it all
        """Its id."""
        return {"Id": physical_id}


class SecurityGroupIngress(_Rule):
    """One rule of what may come in."""

    type = "AWS::EC2::SecurityGroupIngress"
    side = INGRESS
    implemented = frozenset(
        {
            "CidrIp",
            "CidrIpv6",
            "Description",
            "FromPort",
            "GroupId",
            "IpProtocol",
            "SourcePrefixListId",
            "SourceSecurityGroupId",
            "SourceSecurityGroupOwnerId",
            "ToPort",
        }
    )


class SecurityGroupEgress(_Rule):
    """One rule of what may leave."""

    type = "AWS::EC2::SecurityGroupEgress"
    side = EGRESS
    implemented = frozenset(
        {
            "CidrIp",
            "CidrIpv6",
            "Description",
            "DestinationPrefixListId",
            "DestinationSecurityGroupId",
            "FromPort",
            "GroupId",
            "IpProtocol",
            "ToPort",
        }
    )


def permission(rule: Document, side: str) -> dict[str, Any]:
    """A rule as EC2's IpPermission; it names exactly one other end.

    Raises:
        ResourceError: It names none or several.
    """
    other = "Source" if side == INGRESS else "Destination"
    described = chosen(rule, "Description")
    ends: dict[str, tuple[str, dict[str, Any]]] = {
        "CidrIp": ("IpRanges", {"CidrIp": rule.get("CidrIp")}),
        "CidrIpv6": ("Ipv6Ranges", {"CidrIpv6": rule.get("CidrIpv6")}),
        f"{other}PrefixListId": ("PrefixListIds", {"PrefixListId": rule.get(f"{other}PrefixListId")}),
        f"{other}SecurityGroupId": ("UserIdGroupPairs", {"GroupId": rule.get(f"{other}SecurityGroupId")}),
    }
    named = [name for name in ends if rule.get(name)]
    if len(named) != 1:
        raise ResourceError(
            f"a security group rule names exactly one of {', '.join(ends)}; this one: {named or 'none'}"
        )
    member, end = ends[named[0]]
    if member == "UserIdGroupPairs" and "SourceSecurityGroupOwnerId" in rule:
        end["UserId"] = rule["SourceSecurityGroupOwnerId"]
    ports = {name: int(rule[name]) for name in ("FromPort", "ToPort") if name in rule}
    return {"IpProtocol": str(rule["IpProtocol"]), **ports, member: [{**end, **described}]}
