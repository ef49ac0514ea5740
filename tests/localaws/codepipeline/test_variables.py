"""Variables in configurations."""

import json

import pytest

from pipeline.localaws.codepipeline.variables import UnknownVariableError, references, resolve

NAMESPACES = {
    "Source": {"CommitId": "abc", "CommitMessage": 'say "hi"\n\\o/'},
    "Source@c8998": {"CommitId": "def"},
    "codepipeline": {"PipelineExecutionId": "1-2"},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("#{Source.CommitId}", "abc"),
        ("at #{Source@c8998.CommitId} by #{codepipeline.PipelineExecutionId}", "at def by 1-2"),
        ("#{Source.CommitMessage}", 'say "hi"\n\\o/'),
        ("{not.a.reference} #{neither} #{}", "{not.a.reference} #{neither} #{}"),
    ],
)
def test_references_become_values(text: str, expected: str) -> None:
    assert resolve({"K": text}, NAMESPACES) == {"K": expected}


def test_a_value_inside_json_keeps_it_json() -> None:
    text = json.dumps([{"name": "M", "value": "#{Source.CommitMessage}"}])
    resolved = resolve({"EnvironmentVariables": text}, NAMESPACES)["EnvironmentVariables"]
    assert json.loads(resolved) == [{"name": "M", "value": 'say "hi"\n\\o/'}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#{Build.TAG}", "Build.TAG, which was not set; the namespace Build has: none"),
        ("#{Source.Tag}", "Source.Tag, which was not set; the namespace Source has: CommitId, CommitMessage"),
    ],
)
def test_an_unknown_variable_is_named(text: str, words: str) -> None:
    with pytest.raises(UnknownVariableError, match="The configuration CustomData references") as unknown:
        resolve({"CustomData": text}, NAMESPACES)
    assert words in str(unknown.value)


def test_references_are_found() -> None:
    assert list(references("#{A.x}#{B@1.y-z}")) == [("A", "A.x"), ("B@1", "B@1.y-z")]
