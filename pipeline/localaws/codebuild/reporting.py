"""The `reports` of a buildspec: from files in the build's folder to reports in report groups."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.localaws.codebuild.artifacts import NoMatchError, entries
from pipeline.localaws.codebuild.build_log import BuildLog
from pipeline.localaws.codebuild.buildspec import Report
from pipeline.localaws.codebuild.report_groups import ReportGroups
from pipeline.localaws.codebuild.reports import FileCoverage, ReportError, TestCase, coverage, test_cases

_COVERAGE = "COBERTURAXML"


@dataclass(frozen=True)
class Reporter:
    """Makes the reports of one build. What is wrong with one is said in the log and in its status; it fails nothing.

    Attributes:
        groups: Where reports go.
        project: The project's name; a group named in a buildspec is called `PROJECT-NAME`.
        build: ARN of the build.
        log: The build's log.
    """

    groups: ReportGroups
    project: str
    build: str
    log: BuildLog

    def report(self, reports: Mapping[str, Report], source: Path, variables: Mapping[str, str]) -> list[str]:
        """Make all reports; returns their ARNs."""
        arns = [self._one(name, report, source, variables) for name, report in sorted(reports.items())]
        return [arn for arn in arns if arn]

    def _one(self, name: str, report: Report, source: Path, variables: Mapping[str, str]) -> str:
        kind = "CODE_COVERAGE" if report.file_format == _COVERAGE else "TEST"
        group = self.groups.groups.get(name) if name.startswith("arn:") else None
        if group is None and name.startswith("arn:"):
            self.log.say(f"Report group {name} does not exist: no report is made")
            return ""
        group = group or self.groups.create(f"{self.project}-{name}", kind)
        if group["type"] != kind:
            self.log.say(f"Report group {group['name']} is of type {group['type']}, {report.file_format} is {kind}")
            return ""
        arn = self.groups.begin(group, self.build)
        try:
            status = self._fill(arn, report, source, variables)
        except (NoMatchError, ReportError) as error:
            self.groups.incomplete(arn)
            self.log.say(f"Report {name}: {error}")
            status = "INCOMPLETE"
        self.log.say(f"Report {arn} State: {status}")
        return arn

    def _fill(self, arn: str, report: Report, source: Path, variables: Mapping[str, str]) -> str:
        cases: list[TestCase] = []
        covered: list[FileCoverage] = []
        for entry in entries(report, source, variables):
            try:
                text = entry.source.read_bytes()
                if report.file_format == _COVERAGE:
                    covered += coverage(text)
                else:
                    cases += test_cases(text, report.file_format)
            except ReportError as error:
                raise ReportError(f"{entry.name}: {error}") from None
        if report.file_format == _COVERAGE:
            return self.groups.finish_coverage(arn, covered)
        return self.groups.finish_tests(arn, cases)
