"""Many hosts, one manager: the agent's link and the manager, which speak OpAMP with one another.

``fleet.opamp`` is the protocol, ``fleet.agent`` the link of one host, ``fleet.manager`` the other end: the
state of every node, its store, API and page. Neither end knows more of the other than the protocol, so that
agents and managers of other makers can take either place.
"""
