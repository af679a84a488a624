"""Jobs over the API: ``/api/v1/jobs``, ``/api/v1/jobs/ID`` and ``/api/v1/jobs/ID/cancel``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

from msgspec import Meta

from compose_agent.web.compression import compressed
from compose_agent.web.propagation import outgoing_headers
from compose_agent.web.response import Response, body_of
from fleet.manager.clock import SteadyClock
from fleet.manager.commands.asked import NoNode, nodes_of, read_order
from fleet.manager.commands.issuer import new_traceparent
from fleet.manager.jobs.asked import MOST_PARTS, AskedJob, JobDetails, JobRow, Jobs, details_of, row_of
from fleet.manager.jobs.driver import Driver
from fleet.manager.jobs.model import Job, Part, Spread
from fleet.manager.jobs.store import JobStore
from fleet.manager.model import Node
from fleet.manager.openapi import Operation, Parameter
from fleet.manager.openapi.answers import answered, explained, problem
from fleet.manager.people.audit import tell
from fleet.manager.principal import Principal, Role, principal_of
from fleet.manager.registry import Registry
from fleet.manager.sight import Sight
from fleet.opamp.uid import new_uid, uid_text

JOBS = "/api/v1/jobs"
_LIMIT, _MOST = 50, 500
_MISSING = {404: "There is no such job."}


class JobsApi:
    """Takes jobs from those who may give commands, and tells of those whose nodes somebody sees all."""

    def __init__(self, registry: Registry, store: JobStore, driver: Driver, clock: SteadyClock) -> None:
        self._registry = registry
        self._store = store
        self._driver = driver
        self._clock = clock

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        selection = (
            Parameter("before", "Only those that were made before the one with this id"),
            Parameter("limit", "How many are looked at", Annotated[int, Meta(ge=1, le=_MOST)]),
        )
        one = f"{JOBS}/{{id}}"
        return [
            Operation(
                method="POST",
                path=JOBS,
                summary="Begin a job",
                answer=explained(self._begin, {NoNode: 404}),
                status=202,
                takes=AskedJob,
                gives=JobDetails,
                refuses={404: "There is no such node, or the selector means none."},
                needs=Role.OPERATOR,
            ),
            Operation(
                method="GET",
                path=JOBS,
                summary="Jobs, the newest first",
                answer=explained(self._list),
                gives=Jobs,
                parameters=selection,
            ),
            Operation(
                method="GET",
                path=one,
                summary="One job with its parts",
                answer=explained(self._one),
                gives=JobDetails,
                refuses=_MISSING,
            ),
            Operation(
                method="POST",
                path=f"{one}/cancel",
                summary="Give out no more parts of a job; what is out goes on",
                answer=explained(self._cancel),
                gives=JobRow,
                refuses={**_MISSING, 409: "The job has ended."},
                needs=Role.OPERATOR,
            ),
        ]

    def _begin(self, environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
        asked = read_order(AskedJob, body_of(environ))
        principal = principal_of(environ)
        nodes = nodes_of(asked.nodes, asked.selector, Sight(self._registry, principal))
        if len(nodes) > MOST_PARTS:
            return problem(400, f"{len(nodes)} nodes are meant, a job has at most {MOST_PARTS} parts")
        job, parts = self._made(asked, nodes, principal)
        tell(environ, *job.environments, job=job.id, verb=asked.verb.value, target=asked.target)
        self._driver.add(job, parts)
        return compressed(answered(202, details_of(job, parts)), environ)

    def _made(self, asked: AskedJob, nodes: Sequence[Node], principal: Principal) -> tuple[Job, list[Part]]:
        now = self._clock.now()
        job = Job(
            id=uid_text(new_uid()),
            order=asked.order,
            spread=asked.spread,
            selector=asked.selector,
            nodes=asked.nodes,
            parallelism=asked.parallelism,
            retries=asked.retries,
            actor=principal.name,
            environments=sorted({node.environment for node in nodes}),
            issued=now,
            deadline=now + asked.within,
            traceparent=outgoing_headers().get("traceparent") or new_traceparent(),
        )
        if asked.spread is Spread.ANY:
            return job, [Part(number=number, arguments=each) for number, each in enumerate(asked.parts)]
        ordered = sorted(nodes, key=lambda node: node.node_id)
        return job, [
            Part(number=number, uid=node.uid, node_id=node.node_id) for number, node in enumerate(ordered)
        ]

    def _list(self, environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
        given = {key: values[-1] for key, values in parse_qs(str(environ.get("QUERY_STRING", ""))).items()}
        found = self.latest(environ, int(given.get("limit", _LIMIT)), given.get("before", ""))
        return compressed(answered(200, Jobs([row_of(job) for job in found])), environ)

    def latest(self, environ: WSGIEnvironment, most: int = _LIMIT, before: str = "") -> list[Job]:
        """Return the latest jobs that exist for who asks; raises StateError."""
        return [job for job in self._store.latest(most, before) if _sees(environ, job)]

    def _one(self, environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
        if (found := self.find(environ, names["id"])) is None:
            return problem(404, f"there is no job {names['id']}")
        return compressed(answered(200, details_of(*found)), environ)

    def find(self, environ: WSGIEnvironment, job_id: str) -> tuple[Job, list[Part]] | None:
        """Return a job that exists for who asks, with its parts; raises StateError."""
        found = self._driver.get(job_id)
        return found if found and _sees(environ, found[0]) else None

    def _cancel(self, environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
        if (found := self.find(environ, names["id"])) is None:
            return problem(404, f"there is no job {names['id']}")
        tell(environ, *found[0].environments, job=found[0].id)
        job = self._driver.cancel(names["id"], principal_of(environ).name)
        return answered(200, row_of(job)) if job else problem(409, "the job has ended")


def _sees(environ: WSGIEnvironment, job: Job) -> bool:
    return all(map(principal_of(environ).sees, job.environments))
