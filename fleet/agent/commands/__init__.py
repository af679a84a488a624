"""Commands of the manager on this host.

::

    link ──> Handler ──> Keeper ──> Journal (agent.db)          accepted, begun, ended, confirmed
                           │ begin_by                                   ▲
                        Pool of threads ──> Verb ──> remediation, Engine, supervisor

A command is on disk before it is accepted, and again before it is begun; its end is sent until the manager
has it. What acts on containers is handed to the remediation role, which knows each id, so that whatever is
killed in between, and asked again, nothing is done twice.
"""
