"""CodePipeline's API. Pipelines and their history live in memory, as long as the server does."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pipeline.localaws.codepipeline import answers, interventions, lookups
from pipeline.localaws.codepipeline.actions import approval, cloudformation, codebuild, codecommit
from pipeline.localaws.codepipeline.definition import DefinitionError, parse
from pipeline.localaws.codepipeline.engine import Engine
from pipeline.localaws.codepipeline.interventions import RefusedError
from pipeline.localaws.codepipeline.line import Line, now
from pipeline.localaws.codepipeline.notices import Emit
from pipeline.localaws.codepipeline.pages import page
from pipeline.localaws.codepipeline.progress import Execution
from pipeline.localaws.codepipeline.providers import APPROVAL, CLOUDFORMATION, CODEBUILD, CODECOMMIT
from pipeline.localaws.codepipeline.records import ExecutionRecord, Transition, Trigger
from pipeline.localaws.codepipeline.structure import check
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Call, Document, Service, ServiceError


def silence(_source: str, _detail_type: str, _detail: Mapping[str, Any], _resources: Sequence[str]) -> None:
    """Takes events and does nothing with them."""


class CodePipeline(Service):
    """Pipelines that run.

    Args:
        region: Where the services of the actions answer.
        archive: Writes the files of a repository's commit into a ZIP: `(repository, commit, path)`.
        emit: Takes events for EventBridge: `(source, detail type, detail, resources)`. Called on one thread, in order.
    """

    name = "codepipeline"

    def __init__(self, region: LocalRegion, archive: codecommit.Archive, emit: Emit = silence) -> None:
        super().__init__(region)
        performers = {
            CODECOMMIT.name: codecommit.source(archive),
            CODEBUILD.name: codebuild.perform,
            CLOUDFORMATION.name: cloudformation.perform,
            APPROVAL.name: approval.perform,
        }
        self._engine = Engine(region, performers, emit)

    def start(self) -> None:
        """Take up work."""
        self._engine.start()

    def stop(self) -> None:
        """End all work."""
        self._engine.stop()

    # Pipelines

    def create_pipeline(self, request: Document, call: Call) -> Document:
        """A new pipeline; its first execution starts at once."""
        with self._state() as lines:
            pipeline = check(parse(request["pipeline"], version=1, region=self.region.region))
            if pipeline.name in lines:
                raise ServiceError(
                    "PipelineNameInUseException", f"A pipeline with the name {pipeline.name} already exists"
                )
            line = Line(
                pipeline=pipeline,
                arn=f"arn:aws:codepipeline:{self.region.region}:{self.region.account}:{pipeline.name}",
                created=now(),
                updated=now(),
                tags={tag["key"]: tag["value"] for tag in request.get("tags", ())},
                versions={1: pipeline},
            )
            lines[pipeline.name] = line
            if all(variable.default is not None for variable in pipeline.variables):
                self._begin(line, Trigger("CreatePipeline", lookups.who(call)), {})
            return {"pipeline": pipeline.document, "tags": lookups.tags_of(line)}

    def get_pipeline(self, request: Document, _: Call) -> Document:
        """The declaration, the present one or an older version."""
        with self._line(request["name"]) as line:
            version = request.get("version", line.pipeline.version)
            if version not in line.versions:
                raise ServiceError(
                    "PipelineVersionNotFoundException", f"Pipeline {line.pipeline.name} has no version {version}"
                )
            metadata = {"pipelineArn": line.arn, "created": line.created, "updated": line.updated}
            return {"pipeline": line.versions[version].document, "metadata": metadata}

    def update_pipeline(self, request: Document, _: Call) -> Document:
        """A new structure, for executions that start from now on; those that run are cancelled."""
        with self._line(request["pipeline"]["name"]) as line:
            version = line.pipeline.version + 1
            pipeline = check(parse(request["pipeline"], version=version, region=self.region.region))
            moving = [execution for execution in line.progress.executions if execution.active]
            line.progress = interventions.cancel(line.progress)
            for execution in moving:
                line.touch(execution.id, summary="The pipeline's structure was updated before the execution completed")
                self._engine.tell(line, execution.id, execution.stage.name if execution.inside else "", "CANCELED")
            self._engine.advance(line)
            line.pipeline, line.updated = pipeline, now()
            line.versions[pipeline.version] = pipeline
            return {"pipeline": pipeline.document}

    def delete_pipeline(self, request: Document, _: Call) -> Document:
        """Forget a pipeline and its history. One that does not exist is deleted already."""
        with self._state() as lines:
            line = lines.get(request["name"])
            if line:
                self._engine.remove(line)
            return {}

    def list_pipelines(self, request: Document, _: Call) -> Document:
        """All pipelines, by name."""
        with self._state() as lines:
            rows, more = page([line for _, line in sorted(lines.items())], request)
            return {"pipelines": [lookups.summary_of(line) for line in rows], **more}

    # Executions

    def start_pipeline_execution(self, request: Document, call: Call) -> Document:
        """Start an execution; a request token that was used already gives the execution it started."""
        with self._line(request["name"]) as line:
            token = request.get("clientRequestToken", "")
            for record in line.records.values():
                if token and record.request_token == token:
                    return {"pipelineExecutionId": record.id}
            overrides = lookups.overrides_of(line, request.get("sourceRevisions", ()))
            given = {variable["name"]: variable["value"] for variable in request.get("variables", ())}
            trigger = Trigger("StartPipelineExecution", lookups.who(call))
            return {"pipelineExecutionId": self._begin(line, trigger, given, overrides=overrides, token=token)}

    def stop_pipeline_execution(self, request: Document, _: Call) -> Document:
        """Stop an execution when its actions have ended, or abandon them."""
        with self._line(request["pipelineName"]) as line:
            execution = lookups.execution_of(line, request["pipelineExecutionId"])
            line.progress = interventions.stop(line.progress, execution, abandon=request.get("abandon", False))
            line.touch(execution.id, stop_reason=request.get("reason", ""))
            self._engine.tell(line, execution.id, execution.stage.name if execution.inside else "", "STOPPING")
            self._engine.advance(line)
            return {"pipelineExecutionId": execution.id}

    def retry_stage_execution(self, request: Document, _: Call) -> Document:
        """Run a failed or stopped stage again, in the same execution."""
        with self._line(request["pipelineName"]) as line:
            stage = lookups.stage_of(line, request["stageName"])
            execution = lookups.execution_of(line, request["pipelineExecutionId"])
            line.progress = interventions.retry(line.progress, line.pipeline, execution, stage, request["retryMode"])
            line.touch(execution.id, stop_reason="")
            line.count_retry(execution.id, stage, "ManualStageRetry")
            self._engine.tell(line, execution.id, stage, "RESUMED")
            self._engine.advance(line)
            return {"pipelineExecutionId": execution.id}

    def rollback_stage(self, request: Document, call: Call) -> Document:
        """Run a stage again as an earlier execution ran it."""
        with self._line(request["pipelineName"]) as line:
            stage = lookups.stage_of(line, request["stageName"])
            target = lookups.execution_of(line, request["targetPipelineExecutionId"])
            new_id = str(uuid.uuid4())
            rolled = interventions.roll_back(line.progress, line.pipeline, stage, target, new_id)
            execution = rolled.execution(new_id)
            assert execution is not None  # noqa: S101 - roll_back adds it
            record = replace(
                line.records[target.id],
                id=new_id,
                trigger=Trigger("ManualRollback", lookups.who(call)),
                started=now(),
                updated=now(),
                rolls_back_to=target.id,
                request_token="",
                retries={},
                summary="",
                stop_reason="",
            )
            self._engine.begin(line, execution, record)
            return {"pipelineExecutionId": new_id}

    def put_approval_result(self, request: Document, call: Call) -> Document:
        """Approve or reject; the token says which request is answered."""
        with self._line(request["pipelineName"]) as line:
            run = lookups.approval_of(line, request)
            approved = request["result"]["status"] == "Approved"
            self._engine.answer(
                line, run, approved=approved, summary=request["result"]["summary"], by=lookups.who(call)
            )
            return {"approvedAt": now()}

    # Transitions

    def disable_stage_transition(self, request: Document, call: Call) -> Document:
        """Let nobody enter a stage (Inbound), or leave it (Outbound): the same door, seen from two sides."""
        with self._line(request["pipelineName"]) as line:
            stage = lookups.door_of(line, request)
            line.progress = replace(line.progress, closed=line.progress.closed | {stage})
            line.transitions[stage] = Transition(
                enabled=False, changed_by=lookups.who(call), changed_at=now(), reason=request["reason"]
            )
            return {}

    def enable_stage_transition(self, request: Document, call: Call) -> Document:
        """Let executions pass again; one that waits enters at once."""
        with self._line(request["pipelineName"]) as line:
            stage = lookups.door_of(line, request)
            line.progress = replace(line.progress, closed=line.progress.closed - {stage})
            line.transitions[stage] = Transition(enabled=True, changed_by=lookups.who(call), changed_at=now())
            self._engine.advance(line)
            return {}

    # Looking

    def get_pipeline_state(self, request: Document, _: Call) -> Document:
        """Where everything stands."""
        with self._line(request["name"]) as line:
            return answers.pipeline_state(line)

    def get_pipeline_execution(self, request: Document, _: Call) -> Document:
        """One execution."""
        with self._line(request["pipelineName"]) as line:
            execution = lookups.execution_of(line, request["pipelineExecutionId"])
            return {"pipelineExecution": answers.execution(line, execution.id)}

    def list_pipeline_executions(self, request: Document, _: Call) -> Document:
        """All executions, newest first."""
        with self._line(request["pipelineName"]) as line:
            stage = request.get("filter", {}).get("succeededInStage", {}).get("stageName", "")
            wanted = [e.id for e in reversed(line.progress.executions) if not stage or stage in e.succeeded]
            rows, more = page(wanted, request)
            return {"pipelineExecutionSummaries": [answers.execution_summary(line, row) for row in rows], **more}

    def list_action_executions(self, request: Document, _: Call) -> Document:
        """All runs of actions, newest first; of one execution if the filter says so."""
        with self._line(request["pipelineName"]) as line:
            wanted = request.get("filter", {})
            latest = wanted.get("latestInPipelineExecution", {})
            execution = wanted.get("pipelineExecutionId") or latest.get("pipelineExecutionId", "")
            if execution:
                lookups.execution_of(line, execution)
            runs = [run for run in reversed(line.runs.values()) if not execution or run.execution == execution]
            if latest.get("startTimeRange") == "Latest":
                runs = list({(run.stage, run.action.name): run for run in reversed(runs)}.values())[::-1]
            rows, more = page(runs, request)
            details = [answers.action_detail(run, self.region.region) for run in rows]
            return {"actionExecutionDetails": details, **more}

    # Tags

    def list_tags_for_resource(self, request: Document, _: Call) -> Document:
        """The tags of a pipeline."""
        with self._by_arn(request["resourceArn"]) as line:
            return {"tags": lookups.tags_of(line)}

    def tag_resource(self, request: Document, _: Call) -> Document:
        """Add or replace tags."""
        with self._by_arn(request["resourceArn"]) as line:
            line.tags.update({tag["key"]: tag["value"] for tag in request["tags"]})
            return {}

    def untag_resource(self, request: Document, _: Call) -> Document:
        """Remove tags."""
        with self._by_arn(request["resourceArn"]) as line:
            for key in request["tagKeys"]:
                line.tags.pop(key, None)
            return {}

    def _begin(
        self,
        line: Line,
        trigger: Trigger,
        variables: Mapping[str, str],
        overrides: Mapping[str, str] | None = None,
        token: str = "",
    ) -> str:
        execution = Execution.new(str(uuid.uuid4()), line.pipeline)
        record = ExecutionRecord(
            id=execution.id,
            trigger=trigger,
            started=now(),
            updated=now(),
            variables=lookups.variables_of(line, variables),
            overrides=overrides or {},
            request_token=token,
        )
        self._engine.begin(line, execution, record)
        return execution.id

    @contextmanager
    def _line(self, name: str) -> Iterator[Line]:
        """A pipeline, while nobody else changes it."""
        with self._state() as lines:
            yield lookups.line_named(lines, name)

    @contextmanager
    def _by_arn(self, arn: str) -> Iterator[Line]:
        with self._state() as lines:
            yield lookups.line_by_arn(lines, arn)

    @contextmanager
    def _state(self) -> Iterator[dict[str, Line]]:
        """All pipelines, while nobody else changes them; what the pure modules refuse becomes an error of the API."""
        with self._engine.lock:
            try:
                yield self._engine.lines
            except (DefinitionError, RefusedError) as error:
                raise ServiceError(error.code, error.message) from None
