"""All resource types the local AWS knows."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, Final

from pipeline.localaws.cloudformation.plan import Paths
from pipeline.localaws.cloudformation.resources.provider import Provider
from pipeline.localaws.cloudformation.schema import Problem, Schema, schema_of
from pipeline.localaws.cloudformation.template import Document, TemplateError

# Every module of this folder may bring types: a new one is a new file.
_MODULES: Final = tuple(import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))


def _providers(module: ModuleType) -> list[Provider]:
    found = (each for each in vars(module).values() if isinstance(each, type) and each.__module__ == module.__name__)
    return [each() for each in found if issubclass(each, Provider) and hasattr(each, "type")]


class ResourceTypes:
    """The types by name, each with its provider and AWS's schema.

    Args:
        region: Whose schemas.
    """

    def __init__(self, region: str) -> None:
        self._region = region
        self._providers = {made.type: made for module in _MODULES for made in _providers(module)}

    def refuse_unknown(self, types: Mapping[str, str]) -> None:
        """Refuse a template (logical id → type) with a type that is not implemented.

        Raises:
            TemplateError: Names each type and resource.
        """
        unknown = [f"{kind} ({name})" for name, kind in types.items() if kind not in self._providers]
        if unknown:
            raise TemplateError(
                f"Template format error: Unrecognized resource types: the local AWS does not implement the resource "
                f"type {', '.join(unknown)}"
            )

    def all(self) -> list[Provider]:
        """Every type, as what makes it, sorted."""
        return [self._providers[kind] for kind in sorted(self._providers)]

    def provider(self, kind: str) -> Provider:
        """What makes, changes and deletes resources of a type."""
        return self._providers[kind]

    def schema(self, kind: str) -> Schema:
        """AWS's schema of a type; an empty one for AWS::CDK::Metadata, which has none."""
        empty = Schema(kind, {"properties": {name: {} for name in self._providers[kind].implemented}})
        return schema_of(self._region, kind) or empty

    def fit(self, kind: str, properties: Document) -> tuple[dict[str, Any], tuple[Problem, ...]]:
        """Properties as the schema declares them, and what the type or its provider does not allow."""
        fitted, problems = self.schema(kind).fit(properties)
        refused = sorted(set(properties) - self._providers[kind].implemented)
        message = "the local AWS does not implement this property"
        return fitted, (*problems, *(Problem(f"/Properties/{name}", message) for name in refused))

    def create_only(self, kind: str) -> Paths:
        """Paths of the properties whose change replaces a resource."""
        return (*self.schema(kind).create_only, *self._providers[kind].replaced_by)
