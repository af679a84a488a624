from __future__ import annotations

import struct

from lab.nameserver import answer

_QUESTION = struct.pack("!6H", 77, 0x0100, 1, 0, 0, 0)


def question(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return _QUESTION + labels + b"\x00" + struct.pack("!HH", kind, 1)


def test_the_one_name_has_its_address() -> None:
    found = answer(question("Manager.test"), "manager.test", "192.0.2.1")
    number, flags, questions, answers = struct.unpack_from("!4H", found)
    assert (number, flags & 0xF, questions, answers) == (77, 0, 1, 1)
    assert found.endswith(bytes([0, 4, 192, 0, 2, 1]))


def test_another_kind_of_record_is_not_there() -> None:
    found = answer(question("manager.test", kind=28), "manager.test", "192.0.2.1")
    assert struct.unpack_from("!4H", found)[1] & 0xF == 0
    assert struct.unpack_from("!4H", found)[3] == 0


def test_another_name_is_not_known() -> None:
    found = answer(question("elsewhere.test"), "manager.test", "192.0.2.1")
    assert struct.unpack_from("!4H", found)[1] & 0xF == 3
