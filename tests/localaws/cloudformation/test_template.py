import pytest

from pipeline.localaws.cloudformation.template import TemplateError, parse

YAML = """
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    DependsOn: Other
    DeletionPolicy: Retain
    Properties:
      BucketName: !Sub "${AWS::StackName}-x"
      Tags:
        - {Key: a, Value: !GetAtt Other.Arn}
        - {Key: b, Value: !Join ["", [!Ref Other, !If [Wide, 1, !Ref AWS::NoValue]]]}
      Version: 2012-10-17
  Other: {Type: AWS::S3::Bucket}
Conditions:
  Wide: !And [!Condition Big, !Equals [a, b]]
  Big: !Not [false]
"""


def test_short_forms_become_long_forms_and_dates_stay_text() -> None:
    bucket = parse(YAML).resources["Bucket"]
    assert bucket.properties == {
        "BucketName": {"Fn::Sub": "${AWS::StackName}-x"},
        "Tags": [
            {"Key": "a", "Value": {"Fn::GetAtt": ["Other", "Arn"]}},
            {
                "Key": "b",
                "Value": {"Fn::Join": ["", [{"Ref": "Other"}, {"Fn::If": ["Wide", 1, {"Ref": "AWS::NoValue"}]}]]},
            },
        ],
        "Version": "2012-10-17",
    }
    assert (bucket.depends_on, bucket.deletion_policy) == (("Other",), "Retain")
    assert parse(YAML).conditions["Wide"] == {"Fn::And": [{"Condition": "Big"}, {"Fn::Equals": ["a", "b"]}]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "JSON not well-formed"),
        ("a: [", "YAML not well-formed"),
        ("just text", "unsupported structure"),
        ("{}", "At least one Resources member"),
        ('{"Resources": {"A": {}}}', "must contain a Type"),
        ('{"Resources": {"A": "x"}}', "malformed"),
        ('{"Resources": {"A": {"Type": "T"}}, "Resorces": {}}', "Invalid template property or properties [Resorces]"),
        ('{"Resources": {"A": {"Type": "T", "CreationPolicy": {}}}}', "resource attribute CreationPolicy"),
        ('{"Resources": {"A": {"Type": "T", "DeletionPolicy": "Snapshot"}}}', "'Snapshot'"),
        ('{"Resources": {"A": {"Type": "T"}}, "Transform": "AWS::Serverless-2016-10-31"}', "AWS::Serverless"),
    ],
)
def test_what_no_template_can_say_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(TemplateError, match=words.replace("[", r"\[").replace("]", r"\]")):
        parse(text)
