"""A Docker Engine in memory, behind a real HTTP server on a unix socket, to test against.

::

    from compose_agent.dockerd.fake import Behaviour, FakeEngine, Fault

    with FakeEngine(api_version="1.41") as engine:  # or "1.51", "1.52"; engine.url is unix://…
        web = engine.add_container("web", labels={"com.docker.compose.project": "shop"}, restart="always")
        engine.add_container("slow", behaviour=Behaviour(stop_takes=0.5, health="healthy"))

        engine.die(web, 1)  # crash: die, then the policy's restart
        engine.oom("slow", child_only=True)  # oom, OOMKilled, still running
        engine.set_health("slow", "unhealthy")

        engine.add_fault(Fault("GET /containers/*/json", "error", times=2, message="database is locked"))
        engine.drop_events(3, "container *")  # a gap that nobody is told of
        engine.freeze()  # as SIGSTOP: connects, never answers
        engine.thaw()
        engine.restart_engine()  # closes all connections, forgets the events
        assert engine.requests()["GET /containers/json"] <= 1

Whatever is started, stopped, restarted, killed or removed through the socket goes as with the real
Engine: the order and attributes of events, stops that go on when their client has gone, restarts that
coalesce, policies with back-off, the words of errors. tests/contract/test_engine_contract.py runs over
this one and a real one. ``ManualClock`` makes time pass at a call; everything but the network obeys it.

As a process of its own::

    python -m compose_agent.dockerd.fake --socket PATH [--containers N] [--api-version 1.41]

with the same control over the socket: ``POST`` and ``DELETE /_fake/faults``, ``GET`` and ``DELETE
/_fake/requests``, ``POST /_fake/freeze``, ``/_fake/thaw``, and ``POST /_fake/containers/{id}/`` followed
by ``behaviour``, ``die?code=1``, ``oom?child=1``, ``health?status=unhealthy``, ``health?probe=1``.
"""

from compose_agent.dockerd.fake.clock import Clock, ManualClock, SystemClock
from compose_agent.dockerd.fake.engine import FakeEngine
from compose_agent.dockerd.fake.faults import Fault
from compose_agent.dockerd.fake.model import Behaviour, Usage

__all__ = ["Behaviour", "Clock", "FakeEngine", "Fault", "ManualClock", "SystemClock", "Usage"]
