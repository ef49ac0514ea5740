"""CloudFormation's intrinsic functions over plain values.

A value that will only be known once a resource exists is `Unknown`; everything computed from one is Unknown too. So the
same functions serve the change set, before anything exists, and the deployment.

Source of the rules: CloudFormation template reference, "Intrinsic function reference" and "Dynamic references".
"""

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.localaws.cloudformation.template import Document, TemplateError

_SUBSTITUTION: Final = re.compile(r"\$\{(!?)([^}]*)\}")
_DYNAMIC: Final = re.compile(r"\{\{resolve:([a-z-]+):([^}]+)\}\}")
NO_VALUE: Final = "AWS::NoValue"


@dataclass(frozen=True)
class Unknown:
    """A value that is known only after a resource was created or replaced; `source` says which."""

    source: str

    def __str__(self) -> str:
        """The text AWS's change sets show for it."""
        return "{{changeSet:KNOWN_AFTER_APPLY}}"


class _NoValue:
    """What `Ref: AWS::NoValue` yields: the key or item it stands at is left out."""


_ABSENT: Final = _NoValue()


@dataclass(frozen=True)
class Scope:
    """Everything a template's functions can reach.

    Attributes:
        parameters: Values of the parameters and of the pseudo parameters.
        mappings: The section Mappings.
        conditions: The section Conditions, unresolved.
        reference: A resource's physical id, or Unknown.
        attribute: A resource's attribute, or Unknown.
        imported: The value of an export.
        zones: The availability zones of a region.
        dynamic: The value of a dynamic reference, by service and key.
        transforms: Macros the template declares.
    """

    parameters: Document
    mappings: Document
    conditions: Document
    reference: Callable[[str], Any]
    attribute: Callable[[str, str], Any]
    imported: Callable[[str], Any]
    zones: Callable[[str], Sequence[str]]
    dynamic: Callable[[str, str], str]
    transforms: tuple[str, ...] = ()
    _evaluated: dict[str, bool | None] = field(default_factory=dict, compare=False)

    def condition(self, name: str) -> bool:
        """Whether a condition holds.

        Raises:
            TemplateError: It is not declared, or refers to itself.
        """
        if name not in self.conditions:
            raise TemplateError(f"Template format error: Unresolved condition dependency {name}")
        if name not in self._evaluated:
            self._evaluated[name] = None
            self._evaluated[name] = truth(self.resolve(self.conditions[name]))
        answer = self._evaluated[name]
        if answer is None:
            raise TemplateError(f"Template format error: the condition {name} refers to itself")
        return answer

    def resolve(self, value: Any) -> Any:
        """The value with every function in it replaced by its result.

        Raises:
            TemplateError: A function is unknown, misused, or refers to something that does not exist.
        """
        found = self._resolve(value)
        return None if found is _ABSENT else found

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            if len(value) == 1:
                ((name, argument),) = value.items()
                if name == "Ref":
                    return self._ref(argument)
                if name == "Condition" and isinstance(argument, str):
                    return self.condition(argument)
                if str(name).startswith("Fn::"):
                    return self._call(str(name), argument)
            items = {key: self._resolve(item) for key, item in value.items()}
            return {key: item for key, item in items.items() if item is not _ABSENT}
        if isinstance(value, list | tuple):
            return [item for item in map(self._resolve, value) if item is not _ABSENT]
        return self._dynamic(value) if isinstance(value, str) else value

    def _dynamic(self, text: str) -> str:
        return _DYNAMIC.sub(lambda found: self.dynamic(found[1], found[2]), text)

    def _ref(self, name: Any) -> Any:
        if name == NO_VALUE:
            return _ABSENT
        return self.parameters[name] if name in self.parameters else self.reference(str(name))

    def _call(self, name: str, argument: Any) -> Any:
        if name == "Fn::If":
            condition, yes, no = _arguments(name, argument, 3)
            return self._resolve(yes if self.condition(condition) else no)
        if name == "Fn::GetAtt":
            parts = argument.split(".", 1) if isinstance(argument, str) else argument
            logical_id, attribute = _arguments(name, parts, 2)
            return self.attribute(logical_id, str(self._resolve(attribute)))
        if name == "Fn::Sub":
            return self._sub(argument)
        function = _FUNCTIONS.get(name)
        if function is None:
            raise TemplateError(f"Template error: the local AWS does not implement the function {name}")
        resolved = self._resolve(argument)
        unknown = _first_unknown(resolved)
        if unknown is not None:
            return unknown
        result = function(self, resolved)
        return self._dynamic(result) if isinstance(result, str) else result

    def _sub(self, argument: Any) -> Any:
        text, names = (argument, {}) if isinstance(argument, str) else _arguments("Fn::Sub", argument, 2)
        values: dict[str, Any] = {key: self._resolve(value) for key, value in names.items()}
        unknown: list[Unknown] = []

        def replace(found: re.Match[str]) -> str:
            literal, name = found[1], found[2].strip()
            if literal:
                return "${" + found[2] + "}"
            if name in values:
                value = values[name]
            elif "." in name and name not in self.parameters:
                value = self.attribute(*name.split(".", 1))
            else:
                value = self._ref(name)
            if isinstance(value, Unknown):
                unknown.append(value)
            return as_text(value)

        result = _SUBSTITUTION.sub(replace, text)
        return unknown[0] if unknown else self._dynamic(result)


def names_in_sub(argument: Any) -> list[str]:
    """The names a `Fn::Sub` takes from the template: `Name` or `Name.Attribute`, without those it defines itself."""
    text, own = (argument, {}) if isinstance(argument, str) else (argument[0], argument[1])
    found = [match[2].strip() for match in _SUBSTITUTION.finditer(str(text)) if not match[1]]
    return [name for name in found if name not in own]


def as_text(value: Any) -> str:
    """A scalar as CloudFormation writes it into a string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(as_text, value))
    return str(value)


def truth(value: Any) -> bool:
    """A condition's result; CloudFormation takes the words, too."""
    return value is True or value == "true"


def _first_unknown(value: Any) -> Unknown | None:
    if isinstance(value, Unknown):
        return value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return next((unknown for unknown in map(_first_unknown, inner) if unknown is not None), None)


def _arguments(name: str, argument: Any, count: int) -> list[Any]:
    if not isinstance(argument, list | tuple) or len(argument) != count:
        raise TemplateError(f"Template error: {name} takes a list of {count}; it is {argument!r}")
    return list(argument)


def _join(_: Scope, argument: Any) -> str:
    separator, items = _arguments("Fn::Join", argument, 2)
    if not isinstance(items, list):
        raise TemplateError(f"Template error: Fn::Join takes a list as its second argument; it is {items!r}")
    return str(separator).join(map(as_text, items))


def _select(_: Scope, argument: Any) -> Any:
    index, items = _arguments("Fn::Select", argument, 2)
    if not isinstance(items, list) or not 0 <= int(index) < len(items):
        raise TemplateError(f"Template error: Fn::Select cannot select nonexistent value at index {index}")
    return items[int(index)]


def _split(_: Scope, argument: Any) -> list[str]:
    separator, text = _arguments("Fn::Split", argument, 2)
    return as_text(text).split(str(separator))


def _find_in_map(scope: Scope, argument: Any) -> Any:
    name, first, second = _arguments("Fn::FindInMap", argument, 3)
    try:
        return scope.mappings[name][as_text(first)][as_text(second)]
    except KeyError:
        raise TemplateError(
            f"Template error: Unable to get mapping for {name}::{as_text(first)}::{as_text(second)}"
        ) from None


def _cidr(_: Scope, argument: Any) -> list[str]:
    block, count, *bits = argument
    network = ipaddress.ip_network(str(block))
    size = network.max_prefixlen - int(bits[0] if bits else 8)
    found = [str(part) for part, _ in zip(network.subnets(new_prefix=size), range(int(count)), strict=False)]
    if len(found) < int(count):
        raise TemplateError(f"Template error: Fn::Cidr: {block} has no {count} blocks of /{size}")
    return found


def _extension(name: str, function: Callable[[Any], Any]) -> Callable[[Scope, Any], Any]:
    def call(scope: Scope, argument: Any) -> Any:
        if not scope.transforms:
            raise TemplateError(f"Template error: {name} needs Transform: AWS::LanguageExtensions")
        return function(argument)

    return call


def _equal(_: Scope, argument: Any) -> bool:
    left, right = _arguments("Fn::Equals", argument, 2)
    return as_text(left) == as_text(right)


_FUNCTIONS: Final[Mapping[str, Callable[[Scope, Any], Any]]] = {
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::FindInMap": _find_in_map,
    "Fn::Cidr": _cidr,
    "Fn::Base64": lambda _, text: base64.b64encode(as_text(text).encode()).decode(),
    "Fn::ImportValue": lambda scope, name: scope.imported(as_text(name)),
    "Fn::GetAZs": lambda scope, region: list(scope.zones(as_text(region or scope.parameters["AWS::Region"]))),
    "Fn::Equals": _equal,
    "Fn::Not": lambda _, items: not truth(items[0]),
    "Fn::And": lambda _, items: all(map(truth, items)),
    "Fn::Or": lambda _, items: any(map(truth, items)),
    "Fn::Contains": lambda _, items: as_text(items[1]) in map(as_text, items[0]),
    "Fn::EachMemberEquals": lambda _, items: all(as_text(item) == as_text(items[1]) for item in items[0]),
    "Fn::EachMemberIn": lambda _, items: all(as_text(item) in map(as_text, items[1]) for item in items[0]),
    "Fn::Length": _extension("Fn::Length", len),
    "Fn::ToJsonString": _extension("Fn::ToJsonString", json.dumps),
}
