"""``compose-agent freeze``: nothing is begun any more, until ``thaw``."""

from compose_agent.commands.remediation_options import telling

command = telling(
    "freeze",
    "Have remediation begin nothing any more, and say why; what is under way is finished.",
    lambda source, given: str(source.tell("/v1/freeze", given["why"])["frozen"]),
)
