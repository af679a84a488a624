from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic

from log_forwarder.joined import joined_text

OWN = """# HELP up Whether it runs.
# TYPE up gauge
up 1.0
"""
ONE = """# HELP up Whether it runs.
# TYPE up gauge
up 1.0
# HELP sent_total Lines.
# TYPE sent_total counter
sent_total{sink="a"} 3.0
# HELP took_seconds Time.
# TYPE took_seconds histogram
took_seconds_bucket{le="1.0"} 2.0
took_seconds_bucket{le="+Inf"} 2.0
took_seconds_count 2.0
took_seconds_sum 1.5
"""
TWO = ONE.replace("3.0", "4.0").replace("up 1.0", "up 0.0")


def test_each_process_has_its_label_and_each_family_is_declared_once() -> None:
    text = joined_text({"": OWN, "0": ONE, "1": TWO}, openmetrics=False).decode()
    found = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in classic(text)
        for sample in family.samples
    }
    assert found["up", ()] == 1
    assert found["up", (("worker", "1"),)] == 0
    assert found["sent_total", (("sink", "a"), ("worker", "0"))] == 3
    assert found["sent_total", (("sink", "a"), ("worker", "1"))] == 4
    assert found["took_seconds_bucket", (("le", "+Inf"), ("worker", "1"))] == 2
    assert text.count("# TYPE up gauge") == 1


def test_it_is_openmetrics_too() -> None:
    text = joined_text({"0": ONE}, openmetrics=True).decode()
    families = {each.name: each for each in openmetrics(text)}  # type: ignore[no-untyped-call]
    assert families["sent"].type == "counter"
    assert families["took_seconds"].type == "histogram"
