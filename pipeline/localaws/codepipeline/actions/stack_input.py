"""What a CloudFormation action gives to CloudFormation: template, parameters, tags, capabilities."""

import json
from collections.abc import Mapping
from typing import Any, Final

from pipeline.localaws.codepipeline.actions.work import CONFIGURATION_ERROR, ActionFailedError, Work

LARGEST_BODY: Final = 51_200  # bytes; CloudFormation quotas: a larger template must lie in S3


def arguments(work: Work) -> dict[str, Any]:
    """The arguments that CreateStack, UpdateStack and CreateChangeSet share.

    Raises:
        ActionFailedError: A file is missing or is not what it should be.
    """
    configuration = work.configuration
    settings = _template_configuration(work)
    parameters = {**settings.get("Parameters", {}), **_overrides(work)}
    shared: dict[str, Any] = {
        "StackName": configuration["StackName"],
        **_template(work),
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Capabilities": [name.strip() for name in configuration.get("Capabilities", "").split(",") if name.strip()],
        "Tags": [{"Key": key, "Value": value} for key, value in settings.get("Tags", {}).items()],
    }
    if role := configuration.get("RoleArn"):
        shared["RoleARN"] = role
    return shared


def _template(work: Work) -> dict[str, str]:
    artifact, path = _file(work, "TemplatePath")
    text = work.read(artifact, path)
    if len(text.encode()) <= LARGEST_BODY:
        return {"TemplateBody": text}
    s3 = work.client("s3")
    bucket = work.inputs[artifact].bucket
    key = f"{work.pipeline}/templates/{work.execution}/{work.action.name}"
    s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
    return {"TemplateURL": f"{s3.meta.endpoint_url}/{bucket}/{key}"}


def _template_configuration(work: Work) -> Mapping[str, Any]:
    if "TemplateConfiguration" not in work.configuration:
        return {}
    artifact, path = _file(work, "TemplateConfiguration")
    return _object(work.read(artifact, path), f"the template configuration {artifact}::{path}")


def _overrides(work: Work) -> dict[str, str]:
    """ParameterOverrides: values, and the two functions CodePipeline adds to them."""
    text = work.configuration.get("ParameterOverrides")
    given = _object(text, "ParameterOverrides") if text else {}
    return {name: _value(work, name, value) for name, value in given.items()}


def _value(work: Work, name: str, value: object) -> str:
    match value:
        case {"Fn::GetArtifactAtt": [str(artifact), str(attribute)]}:
            return _artifact_attribute(work, artifact, attribute)
        case {"Fn::GetParam": [str(artifact), str(path), str(key)]}:
            found = _object(work.read(artifact, path), f"{artifact}::{path}")
            if key not in found:
                raise ActionFailedError(CONFIGURATION_ERROR, f"{artifact}::{path} has no key {key}")
            return str(found[key])
        case dict() | list():
            raise ActionFailedError(CONFIGURATION_ERROR, f"ParameterOverrides: {name}: {value!r} is not supported")
        case _:
            return str(value)


def _artifact_attribute(work: Work, artifact: str, attribute: str) -> str:
    location = work.inputs.get(artifact)
    if location is None:
        raise ActionFailedError(CONFIGURATION_ERROR, f"Fn::GetArtifactAtt: {artifact} is not an input artifact")
    endpoint = work.client("s3").meta.endpoint_url
    values = {
        "BucketName": location.bucket,
        "ObjectKey": location.key,
        "URL": f"{endpoint}/{location.bucket}/{location.key}",
    }
    if attribute not in values:
        raise ActionFailedError(
            CONFIGURATION_ERROR, f"Fn::GetArtifactAtt: {attribute} is not one of {', '.join(values)}"
        )
    return values[attribute]


def _file(work: Work, key: str) -> tuple[str, str]:
    """`ARTIFACT::path` of a configuration key."""
    artifact, separator, path = work.configuration.get(key, "").partition("::")
    if not (artifact and separator and path):
        given = work.configuration.get(key, "")
        raise ActionFailedError(CONFIGURATION_ERROR, f"{key} must have the form ARTIFACT::path; it is {given!r}")
    return artifact, path


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ActionFailedError(CONFIGURATION_ERROR, f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ActionFailedError(CONFIGURATION_ERROR, f"{what} is not a JSON object")
    return value
