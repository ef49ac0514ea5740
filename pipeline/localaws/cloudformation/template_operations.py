"""Templates: given back, summarised, checked."""

from typing import Any

from pipeline.localaws.cloudformation.intents import (
    needed_capability,
)
from pipeline.localaws.cloudformation.operations import Operations
from pipeline.localaws.cloudformation.template import Document, Template, load
from pipeline.localaws.service import Call


class TemplateOperations(Operations):
    """What CloudFormation's API says of templates."""

    def get_template(self, request: Document, call: Call) -> Document:
        """A stack's template, or a change set's; no macro runs here, so both stages are the same."""
        place = self._place(call)
        if "ChangeSetName" in request:
            template = self._change_set(place, request)[1].intent.template
        else:
            template = self._stack(place, request["StackName"]).intent.template
        return {"TemplateBody": template.text, "StagesAvailable": ["Original", "Processed"]}

    def get_template_summary(self, request: Document, call: Call) -> Document:
        """What a template asks for and makes."""
        place = self._place(call)
        if "StackName" in request:
            template = self._stack(place, request["StackName"]).intent.template
        else:
            template = self._parsed(request, place)
        kinds = sorted({found.type for found in template.resources.values()})
        return _summary(template) | {
            "ResourceTypes": kinds,
            "Version": "2010-09-09",
            **({"Metadata": str(load(template.text).get("Metadata"))} if template.metadata else {}),
        }

    def validate_template(self, request: Document, call: Call) -> Document:
        """Whether a template can be read, and what it asks for."""
        return _summary(self._parsed(request, self._place(call)))


def _summary(template: Template) -> dict[str, Any]:
    capability, kinds = needed_capability(template)
    shown: dict[str, Any] = {
        "Description": template.description,
        "Parameters": [
            {
                "ParameterKey": name,
                "NoEcho": str(declared.get("NoEcho", False)).lower() == "true",
                "Description": str(declared.get("Description", "")),
                **({"DefaultValue": str(declared["Default"])} if "Default" in declared else {}),
            }
            for name, declared in template.parameters.items()
        ],
        "DeclaredTransforms": list(template.transforms),
    }
    if capability:
        shown["Capabilities"] = [capability]
        shown["CapabilitiesReason"] = f"The following resource(s) require capabilities: [{', '.join(kinds)}]"
    return shown
