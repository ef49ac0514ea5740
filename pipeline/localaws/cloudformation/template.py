"""A template's text as a checked value: JSON, or YAML with CloudFormation's short-form tags.

What is wrong with the template itself is a `TemplateError`, whose text is what the API answers as ValidationError.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

Document = Mapping[str, Any]

SECTIONS: Final = {
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Mappings",
    "Conditions",
    "Transform",
    "Resources",
    "Outputs",
    "Rules",
}
RESOURCE_KEYS: Final = {
    "Type",
    "Properties",
    "DependsOn",
    "Condition",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "Metadata",
}
RETAIN: Final = "Retain"
RETAIN_EXCEPT_ON_CREATE: Final = "RetainExceptOnCreate"
DELETE: Final = "Delete"
# The only macro that adds nothing but functions; all others would need to run.
LANGUAGE_EXTENSIONS: Final = "AWS::LanguageExtensions"


class TemplateError(Exception):
    """The template, or the values for its parameters, cannot be used; the text says why."""


@dataclass(frozen=True)
class Resource:
    """One entry of the section Resources, its properties not resolved yet."""

    logical_id: str
    type: str
    properties: Document = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    condition: str | None = None
    deletion_policy: str = DELETE
    update_replace_policy: str = DELETE
    metadata: Document = field(default_factory=dict)


@dataclass(frozen=True)
class Template:
    """A whole template, section by section; intrinsic functions still stand in it in their long form."""

    text: str
    description: str = ""
    parameters: Mapping[str, Document] = field(default_factory=dict)
    mappings: Document = field(default_factory=dict)
    conditions: Document = field(default_factory=dict)
    resources: Mapping[str, Resource] = field(default_factory=dict)
    outputs: Mapping[str, Document] = field(default_factory=dict)
    rules: Mapping[str, Document] = field(default_factory=dict)
    metadata: Document = field(default_factory=dict)
    transforms: tuple[str, ...] = ()


def parse(text: str) -> Template:
    """Read a template.

    Raises:
        TemplateError: It is neither JSON nor YAML, or says something that no template can say.
    """
    document = load(text)
    unknown = sorted(set(document) - SECTIONS)
    if unknown:
        raise TemplateError(f"Invalid template property or properties [{', '.join(unknown)}]")
    declared = document.get("Transform", [])
    transforms = (declared,) if isinstance(declared, str) else tuple(map(str, declared))
    for transform in transforms:
        if transform != LANGUAGE_EXTENSIONS:
            raise TemplateError(f"the local AWS runs no template macros: Transform {transform!r}")
    resources = _mapping(document, "Resources")
    if not resources:
        raise TemplateError("Template format error: At least one Resources member must be defined.")
    return Template(
        text=text,
        description=str(document.get("Description", "")),
        parameters=_mapping_of_mappings(document, "Parameters"),
        mappings=_mapping(document, "Mappings"),
        conditions=_mapping(document, "Conditions"),
        resources={name: _resource(name, body) for name, body in resources.items()},
        outputs=_mapping_of_mappings(document, "Outputs"),
        rules=_mapping_of_mappings(document, "Rules"),
        metadata=_mapping(document, "Metadata"),
        transforms=transforms,
    )


def load(text: str) -> dict[str, Any]:
    """The document in a template's text, short forms made long."""
    try:
        document = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, _Loader)  # noqa: S506 - safe
    except json.JSONDecodeError as error:
        raise TemplateError(f"Template format error: JSON not well-formed. {error}") from None
    except yaml.YAMLError as error:
        raise TemplateError(f"Template format error: YAML not well-formed. {error}") from None
    if not isinstance(document, dict):
        raise TemplateError("Template format error: unsupported structure.")
    return document


def _resource(name: str, body: object) -> Resource:
    place = f"Template format error: [/Resources/{name}]"
    if not isinstance(body, dict):
        raise TemplateError(f"{place} resource definition is malformed")
    if not isinstance(body.get("Type"), str):
        raise TemplateError(f"{place} Every Resources object must contain a Type member.")
    unknown = sorted(set(body) - RESOURCE_KEYS)
    if unknown:
        raise TemplateError(f"{place} the local AWS does not implement the resource attribute {', '.join(unknown)}")
    depends_on = body.get("DependsOn", [])
    deletion = _policy(place, body, "DeletionPolicy")
    return Resource(
        logical_id=name,
        type=body["Type"],
        properties=body.get("Properties") or {},
        depends_on=(depends_on,) if isinstance(depends_on, str) else tuple(depends_on),
        condition=body.get("Condition"),
        deletion_policy=deletion,
        update_replace_policy=_policy(place, body, "UpdateReplacePolicy"),
        metadata=body.get("Metadata") or {},
    )


def _policy(place: str, body: Document, key: str) -> str:
    policy = body.get(key, DELETE)
    allowed = [DELETE, RETAIN, *([RETAIN_EXCEPT_ON_CREATE] if key == "DeletionPolicy" else [])]
    if policy not in allowed:
        raise TemplateError(f"{place} the local AWS implements {key} {', '.join(allowed)}; it is {policy!r}")
    return str(policy)


def _mapping(document: Document, section: str) -> dict[str, Any]:
    value = document.get(section)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TemplateError(f"Template format error: {section} must be an object")
    return value


def _mapping_of_mappings(document: Document, section: str) -> dict[str, Document]:
    found = _mapping(document, section)
    for name, value in found.items():
        if not isinstance(value, dict):
            raise TemplateError(f"Template format error: Every {section} member must be an object: {name}")
    return found


class _Loader(yaml.SafeLoader):
    """Knows `!Ref` and its like, and leaves dates (a policy's Version) the text they are."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)  # noqa: S101 - YAML has three kinds of nodes
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)
