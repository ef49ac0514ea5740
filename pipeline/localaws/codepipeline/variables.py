"""`#{namespace.variable}` in an action's configuration (user guide, "Variables reference")."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

REFERENCE: Final = re.compile(r"#\{([A-Za-z0-9@\-_]+)\.([A-Za-z0-9@\-_]+)\}")

Namespaces = Mapping[str, Mapping[str, str]]  # namespace → variable → value


class UnknownVariableError(Exception):
    """A configuration names a variable that no action has set."""


def references(text: str) -> Iterator[tuple[str, str]]:
    """The namespace and the whole `namespace.variable` of every reference in a text."""
    for match in REFERENCE.finditer(text):
        yield match[1], f"{match[1]}.{match[2]}"


def resolve(configuration: Mapping[str, str], namespaces: Namespaces) -> dict[str, str]:
    """The configuration with every reference replaced by its value.

    Raises:
        UnknownVariableError: Names the reference, and the variables that its namespace does have.
    """
    return {key: _resolve(value, key, namespaces) for key, value in configuration.items()}


def _resolve(text: str, key: str, namespaces: Namespaces) -> str:
    inside_json = _is_json(text)

    def value(match: re.Match[str]) -> str:
        namespace, name = match[1], match[2]
        known = namespaces.get(namespace, {})
        if name not in known:
            there_are = ", ".join(sorted(known)) or "none"
            raise UnknownVariableError(
                f"The configuration {key} references the variable {namespace}.{name}, which was not set;"
                f" the namespace {namespace} has: {there_are}"
            )
        # A commit message may hold quotes and line ends: EnvironmentVariables must stay JSON.
        return json.dumps(known[name])[1:-1] if inside_json else known[name]

    return REFERENCE.sub(value, text)


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("[", "{")):
        return False
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True
