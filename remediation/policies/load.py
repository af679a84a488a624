"""stub"""

import yaml
from dataclasses import dataclass
from remediation.policies.model import *
from remediation.policies.matchers import Matcher


@dataclass
class Policies:
    all: tuple
    allowed: tuple = ()

    def matching(self, labels):
        return [p for p in self.all if all(m.matches(labels) for m in p.match)]

    def named(self, name):
        return next((p for p in self.all if p.name == name), None)


def load_policies(path):
    raw = yaml.safe_load(open(path)) if path else {}
    out = []
    for name, p in (raw.get("policies") or {}).items():
        lim = p.get("limits", {})
        out.append(
            Policy(
                name=name,
                match=(Matcher("alertname", "=", p["alert"]),),
                target=TargetRule(TargetKind(p.get("kind", "container"))),
                ladder=tuple(Step(s) for s in p.get("steps", ["restart"])),
                condition=Condition(p.get("condition", "any")),
                limits=Limits(
                    per_target=Rate(100, 600), per_service=None, backoff_first_seconds=lim.get("backoff", 0.1)
                ),
                verify=Verification(holds=p.get("holds", 0.2), within=20),
            )
        )
    return Policies(tuple(out))
