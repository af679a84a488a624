"""docs/remediation-receiving.md says what the code does, and its examples work."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from compose_agent.cloudevents import CONTENT_TYPE, PATH
from lab.alertmanager import LINES, amtool
from remediation.receiver import alertmanager, cloudevents
from remediation.receiver.auth import Access
from remediation.receiver.doors import Doors
from remediation.receiver.refusal import Refusal, Why
from remediation.receiver.routes import WEBHOOK_PATH
from remediation.receiver.signatures import SIGNATURE_HEADER, TIMESTAMP_HEADER, WINDOW_SECONDS, Signatures
from tests.docs.examples import ROOT, examples
from tests.remediation.receiver.sample import alert, notification
from tests.remediation.receiver.serving import Kept, receiver_of, served

PAGE = "docs/remediation-receiving.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


def test_it_names_what_the_code_has() -> None:
    names = {WEBHOOK_PATH, PATH, CONTENT_TYPE, alertmanager.CONTENT_TYPE, TIMESTAMP_HEADER, SIGNATURE_HEADER}
    assert [name for name in {*names, f"{alertmanager.MOST_ALERTS:,}"} if name not in TEXT] == []
    assert WINDOW_SECONDS == 5 * 60  # "off by five minutes"


def test_it_has_every_answer() -> None:
    table = TEXT.partition("### Answers")[2]
    statuses = {int(Refusal(why).status) for why in Why} | {202, 405}
    assert [status for status in statuses if str(status) not in table] == []


def test_its_trigger_can_be_posted() -> None:
    (text,) = examples(PAGE, "json")
    signal = cloudevents.parse(text.encode(), 0.0)
    assert (signal.name, signal.labels["name"]) == ("org.example.backup.failed", "shop-db-1")
    assert signal.starts_at > 0


@pytest.mark.skipif(not (shutil.which("openssl") and shutil.which("curl")), reason="needs openssl and curl")
def test_a_request_can_be_signed_as_it_says(tmp_path: Path) -> None:
    (script,) = examples(PAGE, "sh")
    (tmp_path / "key").write_text("a-key\n")
    (tmp_path / "body.json").write_bytes(notification(alert()))
    kept = Kept()
    receiver = receiver_of(kept)
    receiver.doors = Doors(Access(signatures=Signatures(lambda: [b"a-key"], receiver.replays)), 1 << 20)
    with served(receiver) as server:
        text = script.replace("http://127.0.0.1:9419", server.url).replace("curl ", "curl -sS --noproxy '*' ")
        done = subprocess.run(
            ["sh", "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
        )
    assert done.stdout == '{"received": 1}\n'
    assert len(kept.signals) == 1


@pytest.mark.engine
@pytest.mark.parametrize("line", LINES)
def test_alertmanager_takes_its_configuration(tmp_path: Path, line: str) -> None:
    (text,) = examples(PAGE, "yaml")
    file = tmp_path / "alertmanager.yml"
    file.write_text(text)
    checked = amtool("check-config", str(file), line=line)
    assert checked.returncode == 0, checked.stdout + checked.stderr
