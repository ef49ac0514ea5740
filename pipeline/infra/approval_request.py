"""The text of an approval's request: what a release manager reads before the dossier. Pure."""

from collections.abc import Mapping

from pipeline.names import LONGEST_SUMMARY

LONGEST = 1_000  # characters of an approval action's CustomData; AWS refuses more (CodePipeline API)
_COMMIT = 40  # characters of a commit's id
_RELEASE = 30  # of a release's id, at most


def comment(environment: str, *, commit: str, releases: Mapping[str, str], dossier: str) -> str:
    """The text, which never gets longer than AWS takes, whatever its variables turn out to be.

    Of many environments before this one, the last are named: they are the nearest to it.

    Args:
        environment: What is released to.
        commit: The variable that is the commit's id.
        releases: Environment that was released to before → the variable that is its release, in order.
        dossier: The variable that is the dossier's summary.
    """
    head = "Release commit {} to " + environment + "."
    left = LONGEST - len(head.format("")) - _COMMIT - len(" ") - LONGEST_SUMMARY
    said: list[str] = []
    for name, release in reversed(list(releases.items())):
        fact = " " + name + " runs it as {}."
        left -= len(fact.format("")) + _RELEASE
        if left < 0:
            break
        said.insert(0, fact.format(release))
    return f"{head.format(commit)}{''.join(said)} {dossier}"
