"""The values a stack's parameters take, and whether a template's rules accept them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipeline.localaws.cloudformation.intrinsics import Scope, truth
from pipeline.localaws.cloudformation.template import Document, Template, TemplateError

_SSM: Final = re.compile(r"AWS::SSM::Parameter::Value<(.+)>")
MASKED: Final = "****"


@dataclass(frozen=True)
class Value:
    """A parameter's value.

    Attributes:
        given: What the caller gave, or the default: text.
        resolved: What `Ref` yields: text or a list of texts.
        no_echo: Never shown.
        from_ssm: `given` names an SSM parameter, `resolved` is its value.
    """

    given: str
    resolved: Any
    no_echo: bool = False
    from_ssm: bool = False


def take(
    template: Template,
    given: Mapping[str, str],
    previous: Mapping[str, Value],
    use_previous: frozenset[str],
    read_ssm: Callable[[str], str | None],
) -> dict[str, Value]:
    """The value of every parameter of a template.

    Args:
        template: Declares the parameters.
        given: What the caller gave.
        previous: What the stack has now.
        use_previous: Names the caller wants to keep as they are.
        read_ssm: The value of an SSM parameter, or None.

    Raises:
        TemplateError: One is missing, unknown, or not of the declared kind.
    """
    unknown = sorted((set(given) | use_previous) - set(template.parameters))
    if unknown:
        raise TemplateError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values = {}
    missing = []
    for name, declared in template.parameters.items():
        if name in given:
            text = given[name]
        elif name in use_previous and name in previous:
            text = previous[name].given
        elif "Default" in declared:
            text = _text(declared["Default"])
        else:
            missing.append(name)
            continue
        values[name] = _value(name, declared, text, read_ssm)
    if missing:
        raise TemplateError(f"Parameters: [{', '.join(missing)}] must have values")
    return values


def refuse_broken_rules(template: Template, scope: Scope) -> None:
    """Check the section Rules.

    Raises:
        TemplateError: An assertion does not hold; its description is in the text.
    """
    broken = []
    for name, rule in template.rules.items():
        if "RuleCondition" in rule and not truth(scope.resolve(rule["RuleCondition"])):
            continue
        broken += [
            str(assertion.get("AssertDescription", name))
            for assertion in rule.get("Assertions", [])
            if not truth(scope.resolve(assertion["Assert"]))
        ]
    if broken:
        raise TemplateError(f"Template error: {'; '.join(broken)}")


def _value(name: str, declared: Document, text: str, read_ssm: Callable[[str], str | None]) -> Value:
    kind = str(declared.get("Type", "String"))
    no_echo = truth(declared.get("NoEcho", False))
    _refuse_unfit(name, declared, text, kind)
    ssm = _SSM.fullmatch(kind)
    if not ssm:
        return Value(text, _typed(kind, text), no_echo)
    stored = read_ssm(text)
    if stored is None:
        raise TemplateError(f"Unable to fetch parameters [{text}] from parameter store for this account.")
    return Value(text, _typed(ssm[1], stored), no_echo, from_ssm=True)


def _typed(kind: str, text: str) -> Any:
    if kind == "CommaDelimitedList" or kind.startswith("List<"):
        return [item.strip() for item in text.split(",")] if text else []
    return text


def _refuse_unfit(name: str, declared: Document, text: str, kind: str) -> None:
    problem = _problem(declared, text, kind)
    if problem:
        constraint = declared.get("ConstraintDescription")
        raise TemplateError(
            f"Parameter {name} failed to satisfy constraint: {constraint}"
            if constraint
            else f"Parameter '{name}' {problem}"
        )


def _problem(declared: Document, text: str, kind: str) -> str | None:
    items = _typed(kind, text) if kind == "CommaDelimitedList" else [text]
    allowed = [_text(value) for value in declared.get("AllowedValues", [])]
    if allowed and any(item not in allowed for item in items):
        return f"must be one of AllowedValues: {', '.join(allowed)}"
    pattern = declared.get("AllowedPattern")
    if pattern is not None and any(not re.fullmatch(str(pattern), item) for item in items):
        return f"must match pattern {pattern}"
    if "MinLength" in declared and len(text) < int(declared["MinLength"]):
        return f"must contain at least {declared['MinLength']} characters"
    if "MaxLength" in declared and len(text) > int(declared["MaxLength"]):
        return f"must contain at most {declared['MaxLength']} characters"
    return _number_problem(declared, text) if kind == "Number" else None


def _number_problem(declared: Document, text: str) -> str | None:
    try:
        number = float(text)
    except ValueError:
        return f"must be a number; it is {text!r}"
    if "MinValue" in declared and number < float(declared["MinValue"]):
        return f"must be a number not less than {declared['MinValue']}"
    if "MaxValue" in declared and number > float(declared["MaxValue"]):
        return f"must be a number not greater than {declared['MaxValue']}"
    return None


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
