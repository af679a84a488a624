from __future__ import annotations

import time

from bench.remediation_failover import Listener, Switch, summary


def test_answers_are_read_with_the_time_at_which_they_were_asked_for() -> None:
    listener = Listener()
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME) - 5
    listener.listen(iter([f"{uptime:.2f} db db\n".encode(), f"{uptime:.2f} spare -\n".encode()]))
    first, second = listener.answers
    assert (first.alias, first.primary, second.alias, second.primary) == ("db", "db", "spare", "-")
    assert 4.5 < first.at - first.asked < 6
    assert listener.wait_for("spare") == second.at


def test_the_summary_counts_what_must_not_be() -> None:
    found = summary([Switch("ill", 4.0, 0, both=False), Switch("hangs", 6.0, 2, both=True)])
    assert (found["switches"], found["late_answers"], found["both_ran"]) == (2, 2, 1)
    assert found["seconds"] == {"p50": 5.0, "p95": 5.9, "max": 6.0}
    assert found["seconds_by_kind"]["ill"] == {"p50": 4.0, "p95": 4.0, "max": 4.0}
