from __future__ import annotations

import json

import pytest

from bench.fleet_configs import main


def test_a_bad_version_reaches_one_batch_and_goes_back(capsys: pytest.CaptureFixture[str]) -> None:
    # How long it takes is not asked of a machine under load, and nobody there is to be called silent.
    patient = ["--interval", "10", "--push-seconds", "300", "--revert-seconds", "300"]
    status = main(["--agents", "40", "--bad-agents", "12", "--batch", "4", "--gate", "1", *patient])
    found = json.loads(capsys.readouterr().out)
    assert status == 0, found
    assert found["push"]["phase"] == "done"
    assert all(0 < found[kind]["affected"] <= 4 for kind in ("refused", "ill", "silent")), found
