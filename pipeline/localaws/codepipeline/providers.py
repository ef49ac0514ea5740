"""The action providers the local AWS executes: which artifacts and configuration each one takes.

Source: CodePipeline user guide, "Action structure reference".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

FIRST_VERSION: Final = "1"


@dataclass(frozen=True)
class ActionType:
    """What `actionTypeId` says."""

    category: str
    owner: str
    provider: str
    version: str

    def words(self) -> str:
        """All four parts, for messages."""
        return f"category {self.category}, owner {self.owner}, provider {self.provider}, version {self.version}"


@dataclass(frozen=True)
class Provider:
    """What a provider takes. `only` lists the values we execute of a key that AWS gives more values to."""

    name: str
    inputs: range
    outputs: range
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    only: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def problem(self, configuration: Mapping[str, str], inputs: int, outputs: int) -> str:
        """Why an action cannot be declared so; "" when it can."""
        for what, count, allowed in (("input", inputs, self.inputs), ("output", outputs, self.outputs)):
            if count not in allowed:
                return f"{self.name} takes {allowed.start} to {allowed.stop - 1} {what} artifacts, not {count}"
        missing = sorted(self.required - configuration.keys())
        if missing:
            return f"{self.name} needs the configuration {', '.join(missing)}"
        unknown = sorted(configuration.keys() - self.required - self.optional)
        if unknown:
            return f"{self.name} does not know the configuration {', '.join(unknown)}"
        for key, values in self.only.items():
            if key in configuration and configuration[key] not in values:
                return f"the local AWS does not execute {self.name} with {key} {configuration[key]}"
        return ""


CODECOMMIT: Final = Provider(
    "CodeCommit",
    inputs=range(1),
    outputs=range(1, 2),
    required=frozenset({"RepositoryName", "BranchName"}),
    optional=frozenset({"PollForSourceChanges", "OutputArtifactFormat"}),
    only={"OutputArtifactFormat": frozenset({"CODE_ZIP"})},
)
CODEBUILD: Final = Provider(
    "CodeBuild",
    inputs=range(1, 6),
    outputs=range(6),
    required=frozenset({"ProjectName"}),
    optional=frozenset({"PrimarySource", "EnvironmentVariables", "BatchEnabled", "CombineArtifacts"}),
    only={"BatchEnabled": frozenset({"false"}), "CombineArtifacts": frozenset({"false"})},
)
CLOUDFORMATION: Final = Provider(
    "CloudFormation",
    inputs=range(11),
    outputs=range(2),
    required=frozenset({"ActionMode", "StackName"}),
    optional=frozenset(
        {
            "ChangeSetName",
            "TemplatePath",
            "TemplateConfiguration",
            "ParameterOverrides",
            "Capabilities",
            "RoleArn",
            "OutputFileName",
        }
    ),
    only={"ActionMode": frozenset({"CHANGE_SET_REPLACE", "CHANGE_SET_EXECUTE", "CREATE_UPDATE", "DELETE_ONLY"})},
)
APPROVAL: Final = Provider(
    "Manual",
    inputs=range(1),
    outputs=range(1),
    optional=frozenset({"NotificationArn", "CustomData", "ExternalEntityLink"}),
)

PROVIDERS: Final[Mapping[ActionType, Provider]] = {
    ActionType("Source", "AWS", "CodeCommit", FIRST_VERSION): CODECOMMIT,
    ActionType("Build", "AWS", "CodeBuild", FIRST_VERSION): CODEBUILD,
    ActionType("Test", "AWS", "CodeBuild", FIRST_VERSION): CODEBUILD,
    ActionType("Deploy", "AWS", "CloudFormation", FIRST_VERSION): CLOUDFORMATION,
    ActionType("Approval", "AWS", "Manual", FIRST_VERSION): APPROVAL,
}


def provider_of(action_type: ActionType) -> Provider:
    """The provider of a type.

    Raises:
        KeyError: The local AWS does not execute it.
    """
    return PROVIDERS[action_type]
