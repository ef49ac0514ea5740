"""CloudFormation's properties as the input of an API: the same tree under the API's own member names.

`{"Volumes": [{"EFSVolumeConfiguration": …}]}` becomes `{"volumes": [{"efsVolumeConfiguration": …}]}`. The model in
botocore decides: names match without regard to case, scalars become the declared kind, and JSON documents text where
the API takes text. What the API does not know is an error that names it.
"""

import json
from collections.abc import Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from pipeline.localaws.cloudformation.intrinsics import as_text
from pipeline.localaws.cloudformation.resources.provider import ResourceError
from pipeline.localaws.cloudformation.template import Document


def arguments(client: Any, operation: str, properties: Document, renamed: Mapping[str, str] | None = None) -> Any:
    """The keyword arguments of a boto3 call.

    Args:
        client: The boto3 client whose model is used.
        operation: The API's name of the operation, e.g. "CreateProject".
        properties: Top-level properties the operation takes.
        renamed: CloudFormation's name → the API's, for top-level names that differ in more than case.
    """
    shape = client.meta.service_model.operation_model(operation).input_shape
    names = {key: (renamed or {}).get(key, key) for key in properties}
    return to_api({names[key]: value for key, value in properties.items()}, shape)


def to_api(value: Any, shape: Shape, path: str = "") -> Any:
    """A value in the form of a botocore shape.

    Raises:
        ResourceError: A name is not a member of the shape, or a scalar is not of its kind.
    """
    if isinstance(shape, StructureShape):
        return _structure(value, shape, path)
    if isinstance(shape, ListShape):
        if not isinstance(value, list):
            raise ResourceError(f"{path}: expected a list, found {value!r}")
        return [to_api(item, shape.member, f"{path}/{index}") for index, item in enumerate(value)]
    if isinstance(shape, MapShape):
        return {as_text(key): to_api(item, shape.value, f"{path}/{key}") for key, item in _pairs(value).items()}
    return _scalar(value, shape.type_name, path)


def _structure(value: Any, shape: StructureShape, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise ResourceError(f"{path}: expected an object, found {value!r}")
    members = {name.lower(): name for name in shape.members}
    converted = {}
    for key, item in value.items():
        name = members.get(key.lower())
        if name is None:
            raise ResourceError(f"{path}/{key}: the API's {shape.name} has no such member")
        converted[name] = to_api(item, shape.members[name], f"{path}/{key}")
    return converted


def _pairs(value: Any) -> Mapping[str, Any]:
    """A map; tags may come as a list of Key and Value."""
    if isinstance(value, list):
        return {pair["Key"]: pair["Value"] for pair in value}
    return value if isinstance(value, Mapping) else {}


def _scalar(value: Any, kind: str, path: str) -> Any:
    try:
        if kind == "string":
            return json.dumps(value) if isinstance(value, Mapping | list) else as_text(value)
        if kind in {"integer", "long"}:
            return int(as_text(value))
        if kind in {"float", "double"}:
            return float(as_text(value))
    except ValueError:
        raise ResourceError(f"{path}: expected {kind}, found {value!r}") from None
    if kind == "boolean":
        words = {"true": True, "false": False}
        if as_text(value).lower() not in words:
            raise ResourceError(f"{path}: expected {kind}, found {value!r}")
        return words[as_text(value).lower()]
    return value
