from typing import Any

import pytest

from pipeline.localaws.cloudformation.intrinsics import Scope, Unknown
from pipeline.localaws.cloudformation.template import TemplateError


def scope(**conditions: Any) -> Scope:
    ids = {"Made": "made-1"}
    return Scope(
        parameters={"Name": "n", "List": ["a", "b"], "AWS::Region": "eu-west-1"},
        mappings={"Map": {"one": {"two": "found"}}},
        conditions={"Yes": {"Fn::Equals": ["a", "a"]}, "No": {"Fn::Not": [{"Condition": "Yes"}]}, **conditions},
        reference=lambda name: ids.get(name, Unknown(name)),
        attribute=lambda name, attribute: f"{ids[name]}.{attribute}" if name in ids else Unknown(name),
        imported=lambda name: f"import of {name}",
        zones=lambda region: [f"{region}a", f"{region}b"],
        dynamic=lambda service, key: f"<{service} {key}>",
        transforms=("AWS::LanguageExtensions",),
    )


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ({"Ref": "Name"}, "n"),
        ({"Ref": "Made"}, "made-1"),
        ({"Fn::GetAtt": ["Made", "Arn"]}, "made-1.Arn"),
        ({"Fn::GetAtt": "Made.Endpoint.Port"}, "made-1.Endpoint.Port"),
        ({"Fn::Sub": "${Name}/${Made}/${Made.Arn}/${!Name}/${AWS::Region}"}, "n/made-1/made-1.Arn/${Name}/eu-west-1"),
        ({"Fn::Sub": ["${Own}-${Name}", {"Own": {"Ref": "Made"}}]}, "made-1-n"),
        ({"Fn::Join": ["-", [1, True, {"Ref": "Name"}]]}, "1-true-n"),
        ({"Fn::Join": [",", {"Ref": "List"}]}, "a,b"),
        ({"Fn::Select": ["1", {"Fn::Split": ["|", "x|y"]}]}, "y"),
        ({"Fn::FindInMap": ["Map", "one", "two"]}, "found"),
        ({"Fn::If": ["Yes", "a", {"Ref": "Nowhere"}]}, "a"),
        ({"Fn::If": ["No", "a", "b"]}, "b"),
        ({"Fn::Or": [{"Condition": "No"}, {"Fn::And": [{"Condition": "Yes"}, True]}]}, True),
        ({"kept": 1, "gone": {"Ref": "AWS::NoValue"}, "list": [1, {"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}]},
         {"kept": 1, "list": [1]}),
        ({"Fn::Base64": "x"}, "eA=="),
        ({"Fn::Cidr": ["10.0.0.0/16", 2, 8]}, ["10.0.0.0/24", "10.0.1.0/24"]),
        ({"Fn::GetAZs": ""}, ["eu-west-1a", "eu-west-1b"]),
        ({"Fn::ImportValue": {"Fn::Sub": "${Name}-x"}}, "import of n-x"),
        ({"Fn::Contains": [["1", "2"], "2"]}, True),
        ({"Fn::EachMemberIn": [["1"], ["1", "2"]]}, True),
        ({"Fn::Length": {"Ref": "List"}}, 2),
        ("{{resolve:ssm:/a/b:3}}", "<ssm /a/b:3>"),
        ({"Fn::Sub": "{{resolve:ssm:${Name}}}"}, "<ssm n>"),
    ],
)  # fmt: skip
def test_a_function_yields_what_the_reference_says(value: Any, result: Any) -> None:
    assert scope().resolve(value) == result


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": "Later"},
        {"Fn::Sub": "a-${Later.Arn}"},
        {"Fn::Join": ["", ["a", {"Fn::GetAtt": ["Later", "Arn"]}]]},
        {"Fn::Select": [0, {"Fn::Split": [",", {"Ref": "Later"}]}]},
    ],
)
def test_what_depends_on_a_resource_that_does_not_exist_yet_is_unknown(value: Any) -> None:
    assert scope().resolve(value) == Unknown("Later")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"Fn::Nonsense": 1}, "Fn::Nonsense"),
        ({"Fn::If": ["Nowhere", 1, 2]}, "condition dependency Nowhere"),
        ({"Fn::If": ["Round", 1, 2]}, "refers to itself"),
        ({"Fn::FindInMap": ["Map", "one", "three"]}, "Map::one::three"),
        ({"Fn::Select": [5, ["a"]]}, "index 5"),
        ({"Fn::Join": "x"}, "Fn::Join takes a list of 2"),
    ],
)
def test_a_misused_function_is_named(value: Any, words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        scope(Round={"Fn::Not": [{"Condition": "Round"}]}).resolve(value)
