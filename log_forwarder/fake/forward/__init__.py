"""A counting server of the Fluent forward protocol v1, with faults on demand.

::

    from log_forwarder.fake.forward import ForwardServer

    with ForwardServer(on_event=lambda tag, time_ns, record: ...) as server:  # server.port
        server.faults.hang = True  # reads, never acknowledges
        server.faults.die_mid_ack(2, stored=True)  # closes twice after a chunk and before its ack
        server.faults.late_seconds = 0.5
        server.faults.refusal = "maintenance"  # of every login
        server.drop_connections()
        server.stop()  # nobody listens
        server.start()  # on the same port again
        assert server.tally().events == 1000

It takes all modes (Message, Forward, PackedForward, gzip of one or several members), acknowledges, asks for
a shared key and for users, and speaks TLS with a given context. Without ``on_event`` it counts what the
option ``size`` says and unpacks nothing, so that a benchmark measures the client.

As a process of its own, with one line ``READY 127.0.0.1:PORT`` and one line of JSON at SIGTERM::

    python -m log_forwarder.fake.forward --port N [--shared-key KEY] [--cert FILE --key FILE] [--unpack]
"""

from log_forwarder.fake.forward.server import Faults, ForwardServer, OnEvent, Tally, server_context

__all__ = ["Faults", "ForwardServer", "OnEvent", "Tally", "server_context"]
