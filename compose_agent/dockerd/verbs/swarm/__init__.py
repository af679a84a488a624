"""Services of Docker Swarm: so many replicas, all tasks made anew, the specification before this one.

Swarm itself carries a change out, by the settings of the service. A change is a whole specification that is
sent with the version it was read at, and refused when somebody else was faster.
"""
