"""A template in a place: its functions reach parameters, other stacks' exports, SSM and the zones of the region."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from pipeline.localaws.cloudformation import graph
from pipeline.localaws.cloudformation.intrinsics import Scope, Unknown, as_text
from pipeline.localaws.cloudformation.parameters import refuse_broken_rules
from pipeline.localaws.cloudformation.place import Place
from pipeline.localaws.cloudformation.plan import Plan, Recorded, Wanted, plan
from pipeline.localaws.cloudformation.resources import ResourceTypes
from pipeline.localaws.cloudformation.schema import Problem
from pipeline.localaws.cloudformation.stacks import Intent, Output
from pipeline.localaws.cloudformation.template import TemplateError

Look = Callable[[str], Recorded | Unknown]


@dataclass(frozen=True)
class Resolved:
    """A resource as wanted, and what its type does not allow of it."""

    wanted: Wanted
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Composition:
    """What a stack shall become, ready to be resolved resource by resource.

    Attributes:
        order: Logical ids of the resources whose condition holds, each after those it needs.
        imports: Names of the exports that were read so far.
    """

    intent: Intent
    place: Place
    types: ResourceTypes
    stack_name: str
    stack_id: str
    export: Callable[[str], str | None]
    imports: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Refuse at once what cannot become a stack."""
        scope = self._scope(Unknown)
        refuse_broken_rules(self.intent.template, scope)
        needs = graph.dependencies(self.intent.template, scope)
        object.__setattr__(self, "_needs", needs)
        object.__setattr__(self, "order", tuple(graph.order(needs)))
        self.types.refuse_unknown({name: self.intent.template.resources[name].type for name in needs})

    _needs: Mapping[str, tuple[str, ...]] = field(init=False, default_factory=dict)
    order: tuple[str, ...] = field(init=False, default=())

    def resolve(self, name: str, look: Look) -> Resolved:
        """A resource with its properties resolved as far as `look` knows the others."""
        resource = self.intent.template.resources[name]
        properties = self._scope(look).resolve(dict(resource.properties))
        tagged = self.types.schema(resource.type).with_tags(properties, self.intent.tags)
        fitted, problems = self.types.fit(resource.type, tagged)
        wanted = Wanted(
            name,
            resource.type,
            fitted,
            self._needs[name],
            resource.metadata,
            resource.deletion_policy,
            resource.update_replace_policy,
        )
        return Resolved(wanted, problems)

    def outputs(self, look: Look) -> tuple[Output, ...]:
        """The stack's outputs; a value not known yet stands as AWS's text for it."""
        scope = self._scope(look)
        found = []
        for key, output in self.intent.template.outputs.items():
            if "Condition" in output and not scope.condition(output["Condition"]):
                continue
            export = (output.get("Export") or {}).get("Name")
            found.append(
                Output(
                    key,
                    as_text(scope.resolve(output.get("Value"))),
                    str(output.get("Description", "")),
                    as_text(scope.resolve(export)) if export is not None else None,
                )
            )
        return tuple(found)

    def plan(self, existing: Mapping[str, Recorded]) -> tuple[Plan, tuple[tuple[str, str, Problem], ...]]:
        """What would be done, and every property that a type does not allow (logical id, type, problem)."""
        problems: list[tuple[str, str, Problem]] = []

        def resolve(name: str, look: Look) -> Wanted:
            resolved = self.resolve(name, look)
            problems.extend((name, resolved.wanted.type, problem) for problem in resolved.problems)
            return resolved.wanted

        found = plan(existing, self.order, resolve, self.types.create_only)
        return found, tuple(problems)

    def _scope(self, look: Callable[[str], Any]) -> Scope:
        template = self.intent.template

        def known(name: str) -> Recorded | Unknown:
            if name not in template.resources:
                raise TemplateError(f"Template format error: Unresolved resource dependencies [{name}]")
            found: Recorded | Unknown = look(name)
            return found

        def reference(name: str) -> Any:
            found = known(name)
            return found if isinstance(found, Unknown) else found.physical_id

        def attribute(name: str, wanted: str) -> Any:
            found = known(name)
            return found if isinstance(found, Unknown) else found.attribute(wanted)

        return Scope(
            parameters={**{name: value.resolved for name, value in self.intent.parameters.items()}, **self._pseudo()},
            mappings=template.mappings,
            conditions=template.conditions,
            reference=reference,
            attribute=attribute,
            imported=self._imported,
            zones=self._zones,
            dynamic=self._dynamic,
            transforms=template.transforms,
        )

    def _pseudo(self) -> dict[str, Any]:
        return {
            "AWS::AccountId": self.place.account,
            "AWS::NotificationARNs": list(self.intent.notifications),
            "AWS::Partition": "aws",
            "AWS::Region": self.place.region,
            "AWS::StackId": self.stack_id,
            "AWS::StackName": self.stack_name,
            "AWS::URLSuffix": "amazonaws.com",
        }

    def _imported(self, name: str) -> str:
        value = self.export(name)
        if value is None:
            raise TemplateError(f"No export named {name} found.")
        self.imports.add(name)
        return value

    def _zones(self, region: str) -> list[str]:
        zones = self.place.client("ec2").describe_availability_zones(
            Filters=[{"Name": "region-name", "Values": [region]}]
        )
        return sorted(zone["ZoneName"] for zone in zones["AvailabilityZones"])

    def _dynamic(self, service: str, key: str) -> str:
        if service not in {"ssm", "ssm-secure"}:
            raise TemplateError(f"the local AWS does not implement dynamic references to {service} ({key})")
        found = read_ssm(self.place, key)
        if found is None:
            raise TemplateError(f"Parameters: [{service}:{key}] cannot be found.")
        return found


def read_ssm(place: Place, name: str) -> str | None:
    """The value of an SSM parameter, `name` or `name:version`; None when there is none."""
    try:
        return str(place.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
    except ClientError as error:
        if error.response["Error"]["Code"] in {"ParameterNotFound", "ParameterVersionNotFound"}:
            return None
        raise
