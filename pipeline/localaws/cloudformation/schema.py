"""AWS's own published schemas of resource types: what a property may be, and which change replaces the resource.

They come with cfn-lint, which moto already needs; only its data is read (importing it takes seconds).
Not checked are enumerations and patterns: AWS's copies lag behind the services, which judge the values anyway.
"""

import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.localaws.cloudformation.intrinsics import Unknown, as_text
from pipeline.localaws.cloudformation.template import Document


@dataclass(frozen=True)
class Problem:
    """A property that its type does not allow; `path` is a JSON pointer below the resource."""

    path: str
    message: str

    def __str__(self) -> str:
        """As CloudFormation words it: `#/Tags: required key [Value] not found`."""
        return f"#{self.path.removeprefix('/Properties')}: {self.message}"


@dataclass(frozen=True)
class Schema:
    """One resource type."""

    type: str
    document: Document

    @property
    def properties(self) -> frozenset[str]:
        """Names of all properties, read-only ones included."""
        return frozenset(self.document["properties"])

    @property
    def read_only(self) -> frozenset[str]:
        """Names of the properties only AWS sets: the attributes of `Fn::GetAtt`."""
        return frozenset(path[0] for path in self._paths("readOnlyProperties") if len(path) == 1)

    @property
    def create_only(self) -> tuple[tuple[str, ...], ...]:
        """Paths of the properties that cannot change: a change replaces the resource."""
        return self._paths("createOnlyProperties")

    @property
    def identifier(self) -> tuple[tuple[str, ...], ...]:
        """Paths of the properties that name the resource."""
        return self._paths("primaryIdentifier")

    @property
    def tag_property(self) -> str | None:
        """The property that takes tags; None when the type has no tags."""
        tagging = self.document.get("tagging") or {}
        if tagging.get("taggable", False) or "Tags" in self.properties:
            name = str(tagging.get("tagProperty", "/properties/Tags")).rpartition("/")[2]
            return name if name in self.properties else None
        return None

    def with_tags(self, properties: Document, tags: Mapping[str, str]) -> Document:
        """The properties with a stack's tags added; the resource's own win."""
        name = self.tag_property
        if name is None or not tags:
            return properties
        own = properties.get(name)
        if "array" not in self._kind(self.document["properties"][name]):
            return {**properties, name: {**tags, **(own or {})}}
        kept = {tag.get("Key") for tag in own or [] if isinstance(tag, Mapping)}
        added = [{"Key": key, "Value": value} for key, value in tags.items() if key not in kept]
        return {**properties, name: [*(own or []), *added]}

    def fit(self, properties: Document) -> tuple[dict[str, Any], tuple[Problem, ...]]:
        """Properties with their scalars made of the declared kind ("256" → 256), and what the type does not allow."""
        problems: list[Problem] = []
        fitted = self._fit(properties, self.document, "/Properties", problems)
        problems += [
            Problem(f"/Properties/{name}", f"extraneous key [{name}] is not permitted: only AWS sets it")
            for name in sorted(self.read_only & set(properties))
        ]
        return fitted, tuple(problems)

    def _paths(self, key: str) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(path.split("/")[2:]) for path in self.document.get(key, []))

    def _definition(self, definition: Document) -> Document:
        while "$ref" in definition:
            found: Any = self.document
            for part in str(definition["$ref"]).removeprefix("#/").split("/"):
                found = found[part]
            definition = found
        return definition

    def _kind(self, definition: Document) -> set[str]:
        definition = self._definition(definition)
        kind = definition.get("type")
        if kind is not None:
            return {kind} if isinstance(kind, str) else set(kind)
        return {"object"} if "properties" in definition or "patternProperties" in definition else set()

    def _fit(self, value: Any, definition: Document, path: str, problems: list[Problem]) -> Any:
        definition = self._definition(definition)
        if isinstance(value, Unknown):
            return value
        kinds = self._kind(definition)
        if isinstance(value, Mapping):
            if kinds and "object" not in kinds:
                problems.append(Problem(path, f"expected type: {_words(kinds)}, found: JSONObject"))
                return value
            return self._fit_object(value, definition, path, problems)
        if isinstance(value, list):
            if kinds and "array" not in kinds:
                problems.append(Problem(path, f"expected type: {_words(kinds)}, found: JSONArray"))
                return value
            items = definition.get("items", {})
            return [self._fit(item, items, f"{path}/{index}", problems) for index, item in enumerate(value)]
        scalar = _scalar(value, kinds)
        if scalar is None:
            problems.append(Problem(path, f"expected type: {_words(kinds)}, found: {type(value).__name__} {value!r}"))
        return scalar

    def _fit_object(
        self, value: Mapping[str, Any], definition: Document, path: str, problems: list[Problem]
    ) -> dict[str, Any]:
        declared = definition.get("properties", {})
        closed = definition.get("additionalProperties", True) is False and "patternProperties" not in definition
        problems += [
            Problem(path, f"required key [{name}] not found")
            for name in definition.get("required", [])
            if name not in value
        ]
        fitted = {}
        for key, item in value.items():
            if key in declared:
                fitted[key] = self._fit(item, declared[key], f"{path}/{key}", problems)
                continue
            if closed and declared:
                problems.append(Problem(f"{path}/{key}", f"extraneous key [{key}] is not permitted"))
            fitted[key] = item
        return fitted


def _scalar(value: Any, kinds: set[str]) -> Any:
    """The value as one of the kinds; None when it cannot be one."""
    if not kinds:
        return value
    candidates: Iterator[Any] = (found for kind in sorted(kinds) if (found := _as(value, kind)) is not None)
    exact = {bool: "boolean", int: "integer", str: "string", float: "number"}.get(type(value))
    return value if exact in kinds else next(candidates, None)


def _as(value: Any, kind: str) -> Any:
    text = as_text(value)
    if kind == "boolean":
        return {"true": True, "false": False}.get(text.lower())
    if kind == "string":
        return text
    if kind in {"integer", "number"}:
        try:
            return int(text)
        except ValueError:
            pass
        try:
            return float(text) if kind == "number" else None
        except ValueError:
            return None
    # A whole JSON document may be given as its text (policy documents).
    return value if kind == "object" and isinstance(value, str) else None


def _words(kinds: set[str]) -> str:
    names = {"object": "JSONObject", "array": "JSONArray"}
    return " or ".join(sorted(names.get(kind, kind.capitalize()) for kind in kinds))


@cache
def schema_of(region: str, resource_type: str) -> Schema | None:
    """The schema of a resource type; None when AWS has no such type."""
    key = _index(region).get(resource_type)
    if key is None:
        return None
    document = json.loads((_folder() / "resources" / f"{key}.json").read_text(encoding="utf-8"))
    return Schema(resource_type, document)


@cache
def _index(region: str) -> Mapping[str, str]:
    path = _folder() / "providers" / f"{region}.json"
    if not path.exists():
        raise PipelineError(
            f"AWS publishes no CloudFormation resource types for the region {region!r}", where=str(path)
        )
    found = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)  # noqa: S101 - cfn-lint's data, whose version is locked
    return found


@cache
def _folder() -> Path:
    found = importlib.util.find_spec("cfnlint")
    if found is None or found.origin is None:
        raise PipelineError("cfn-lint is not installed; it brings CloudFormation's schemas", mend="Run `make set-up`.")
    return Path(found.origin).parent / "data" / "schemas"
