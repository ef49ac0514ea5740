from typing import Any

import pytest

from pipeline.localaws.cloudformation.parameters import Value, take
from pipeline.localaws.cloudformation.template import Template, TemplateError


def values(declared: dict[str, Any], given: dict[str, str], **more: Any) -> dict[str, Value]:
    template = Template("", parameters={"P": declared})
    previous, kept = more.get("previous", {}), frozenset(more.get("kept", ()))
    return take(template, given, previous, kept, {"/name": "stored"}.get)


@pytest.mark.parametrize(
    ("declared", "given", "resolved"),
    [
        ({"Type": "String"}, {"P": "x"}, "x"),
        ({"Type": "String", "Default": "d"}, {}, "d"),
        ({"Type": "Number", "Default": 5}, {}, "5"),
        ({"Type": "CommaDelimitedList"}, {"P": "a, b"}, ["a", "b"]),
        ({"Type": "List<AWS::EC2::Subnet::Id>"}, {"P": "a,b"}, ["a", "b"]),
        ({"Type": "AWS::SSM::Parameter::Value<String>"}, {"P": "/name"}, "stored"),
    ],
)
def test_a_parameter_takes_its_value(declared: dict[str, Any], given: dict[str, str], resolved: Any) -> None:
    assert values(declared, given)["P"].resolved == resolved


def test_the_previous_value_can_be_kept() -> None:
    kept = values({"Type": "String", "Default": "d"}, {}, previous={"P": Value("was", "was")}, kept=["P"])
    assert kept["P"].resolved == "was"


@pytest.mark.parametrize(
    ("declared", "given", "words"),
    [
        ({"Type": "String"}, {}, r"Parameters: \[P\] must have values"),
        ({"Type": "String"}, {"P": "x", "Q": "y"}, r"Parameters: \[Q\] do not exist in the template"),
        ({"Type": "String", "AllowedValues": ["a"]}, {"P": "x"}, "must be one of AllowedValues: a"),
        (
            {"Type": "String", "AllowedPattern": "[a-c]+", "ConstraintDescription": "a to c"},
            {"P": "x"},
            "constraint: a to c",
        ),
        ({"Type": "String", "MinLength": 2}, {"P": "x"}, "at least 2"),
        ({"Type": "Number", "MaxValue": 2}, {"P": "3"}, "not greater than 2"),
        ({"Type": "Number"}, {"P": "x"}, "must be a number; it is 'x'"),
        ({"Type": "AWS::SSM::Parameter::Value<String>"}, {"P": "/no"}, r"\[/no\] from parameter store"),
    ],
)
def test_a_wrong_value_is_refused_in_words(declared: dict[str, Any], given: dict[str, str], words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        values(declared, given)
