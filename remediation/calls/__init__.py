"""What is done by calling others over HTTP, and touches no container. One verb, one module.

Each call is made at least once: nobody but the server that is called could tell whether it got through before
this process died, so it is repeated then, under the same ``Idempotency-Key``.
"""

# The actions of policies that are done here, by the names that their verbs have, too.
CALLS = frozenset({"http", "notify"})
