"""A caller's request as an intent: which template, which values for its parameters, and may it make IAM resources."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from botocore.exceptions import ClientError

from pipeline.localaws.cloudformation import parameters
from pipeline.localaws.cloudformation.composition import read_ssm
from pipeline.localaws.cloudformation.place import Place
from pipeline.localaws.cloudformation.stacks import Intent
from pipeline.localaws.cloudformation.template import Document, Template, TemplateError, parse

# Types that give rights, and the property that gives such a resource a name of one's own ("Acknowledging IAM
# resources in CloudFormation templates").
_IAM_NAMES: Final = {
    "AWS::IAM::AccessKey": None,
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Policy": None,
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
    "AWS::IAM::UserToGroupAddition": None,
}
_VIRTUAL_HOST: Final = re.compile(r"(?P<bucket>.+)\.s3[.-]")


class CapabilityError(Exception):
    """The caller did not acknowledge what the template may do; the text names the capability."""


def intent_of(request: Document, place: Place, current: Intent | None) -> Intent:
    """What a request wants of a stack, `current` being what the stack is.

    Raises:
        TemplateError: The template or a parameter's value cannot be used.
        CapabilityError: It makes IAM resources and the caller did not say it may.
    """
    if request.get("UsePreviousTemplate", False) and current is not None:
        template = current.template
    else:
        template = parse(template_text(request, place))
    capabilities = tuple(request.get("Capabilities", ()))
    _refuse_unacknowledged(template, capabilities)
    given = request.get("Parameters", [])
    values = parameters.take(
        template,
        {item["ParameterKey"]: item.get("ParameterValue", "") for item in given if not item.get("UsePreviousValue")},
        current.parameters if current else {},
        frozenset(item["ParameterKey"] for item in given if item.get("UsePreviousValue")),
        lambda name: read_ssm(place, name),
    )
    before = current or Intent(template, {})
    return Intent(
        template=template,
        parameters=values,
        tags=_tags(request["Tags"]) if "Tags" in request else before.tags,
        capabilities=capabilities,
        role_arn=request.get("RoleARN") or before.role_arn,
        notifications=tuple(request.get("NotificationARNs", before.notifications)),
    )


def template_text(request: Document, place: Place) -> str:
    """The template a request brings, or names by its URL.

    Raises:
        TemplateError: Neither, both, or nothing to be read there.
    """
    body, url = request.get("TemplateBody"), request.get("TemplateURL")
    if body and url:
        raise TemplateError("You cannot specify more than one of the following: TemplateBody, TemplateURL")
    if body:
        return str(body)
    if not url:
        raise TemplateError("Either Template URL or Template Body must be specified.")
    bucket, key = s3_object(url)
    try:
        return str(place.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode())
    except ClientError as error:
        detail = error.response["Error"]
        raise TemplateError(f"S3 error: {detail['Message']} ({detail['Code']}): {url}") from None


def s3_object(url: str) -> tuple[str, str]:
    """Bucket and key of an object's URL.

        https://BUCKET.s3.REGION.amazonaws.com/KEY    virtual host
        https://s3.REGION.amazonaws.com/BUCKET/KEY    path
        http://127.0.0.1:PORT/BUCKET/KEY              path, at the local AWS

    Raises:
        TemplateError: It is none of these.
    """
    parts = urlsplit(url)
    path = unquote(parts.path).lstrip("/")
    virtual = _VIRTUAL_HOST.match(parts.hostname or "")
    bucket, _, key = (virtual["bucket"], "", path) if virtual else path.partition("/")
    if parts.scheme not in {"http", "https"} or not bucket or not key:
        raise TemplateError(f"TemplateURL must be a supported URL of an S3 object; it is {url!r}")
    return bucket, key


def needed_capability(template: Template) -> tuple[str | None, tuple[str, ...]]:
    """The capability a template needs, and the resource types it needs it for."""
    iam = {name: found for name, found in template.resources.items() if found.type in _IAM_NAMES}
    if not iam:
        return None, ()
    named = any(_IAM_NAMES[found.type] in found.properties for found in iam.values())
    kinds = tuple(sorted({found.type for found in iam.values()}))
    return ("CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM"), kinds


def _refuse_unacknowledged(template: Template, given: tuple[str, ...]) -> None:
    needed, _ = needed_capability(template)
    enough = {"CAPABILITY_NAMED_IAM", needed}
    if needed is not None and not enough & set(given):
        raise CapabilityError(f"Requires capabilities : [{needed}]")


def _tags(tags: Any) -> Mapping[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}
