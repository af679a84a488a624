from __future__ import annotations

import time

import pytest

from log_forwarder.transforms.multiline import Multiline
from log_forwarder.transforms.stacktraces import LANGUAGES
from tests.log_forwarder.transforms.building import events

PYTHON = """\
    Traceback (most recent call last):
      File "/app/shop/orders.py", line 41, in ship
        return self.carriers[order.carrier]
               ~~~~~~~~~~~~~^^^^^^^^^^^^^^^
    KeyError: 'pigeon'

    During handling of the above exception, another exception occurred:

    Traceback (most recent call last):
      File "/app/shop/main.py", line 9, in <module>
        ship(order)
      [Previous line repeated 3 more times]
    shop.errors.Unshippable: no carrier for order 12
"""
PYTHON_GROUP = """\
      + Exception Group Traceback (most recent call last):
      |   File "/app/main.py", line 4, in <module>
      |     raise ExceptionGroup("two", errors)
      | ExceptionGroup: two (2 sub-exceptions)
      +-+---------------- 1 ----------------
        | ValueError: first
        +---------------- 2 ----------------
        | TypeError: second
        +------------------------------------
"""
JAVA = """\
    Exception in thread "main" java.lang.IllegalStateException: no carrier
    \tat com.example.shop.Orders.ship(Orders.java:41)
    \tat com.example.shop.Main.main(Main.java:9)
    Caused by: java.io.IOException: pigeon is away
    \tat com.example.shop.Pigeon.send(Pigeon.java:7)
    \t... 2 more
    \tSuppressed: java.lang.RuntimeException: close failed
    \t\tat com.example.shop.Pigeon.close(Pigeon.java:19)
"""
JAVA_LOGGED = """\
    12:00:01.123 [main] ERROR c.e.shop.Orders - cannot ship java.lang.NullPointerException: null
    \tat com.example.shop.Orders.ship(Orders.java:41) ~[shop.jar:1.2]
    \t... 12 common frames omitted
"""
JAVA_OWN = """\
    com.example.shop.Unshippable: order 12
    \tat com.example.shop.Orders.ship(Orders.java:41)
"""
GO = """\
    panic: runtime error: index out of range [3] with length 2 [recovered]
    \tpanic: runtime error: index out of range [3] with length 2

    goroutine 1 [running]:
    main.(*Shop).ship(0xc0000b2000, {0x1, 0x2})
    \t/src/shop.go:41 +0x1d
    main.main()
    \t/src/main.go:9 +0x85

    goroutine 18 [chan receive, 2 minutes]:
    net/http.(*Server).Serve(0xc00012e000, {0x8a1f40, 0xc000010030})
    \t/usr/local/go/src/net/http/server.go:3056 +0x364
    created by main.main in goroutine 1
    \t/src/main.go:7 +0x5b
    exit status 2
"""
GO_SIGNAL = """\
    panic: runtime error: invalid memory address or nil pointer dereference
    [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x48f7a3]

    goroutine 1 [running]:
    main.main()
    \t/src/main.go:9 +0x23
"""
GO_HTTP = """\
    2026/01/02 03:04:05 http: panic serving 172.18.0.3:51234: no carrier
    goroutine 34 [running]:
    net/http.(*conn).serve.func1()
    \t/usr/local/go/src/net/http/server.go:1868 +0xb0
    panic({0x6b2f60?, 0x7a1c30?})
    \t/usr/local/go/src/runtime/panic.go:920 +0x270
"""
RUBY = """\
    app.rb:41:in `ship': no carrier (RuntimeError)
    \tfrom app.rb:9:in `block in <main>'
    \tfrom app.rb:8:in `each'
    \tfrom app.rb:8:in `<main>'
"""
RUBY_HIGHLIGHT = """\
    app.rb:3:in 'Orders#ship': undefined method 'send' for nil (NoMethodError)

        carrier.send(order)
               ^^^^^
    \tfrom app.rb:9:in '<main>'
"""
RAILS = """\
    ActiveRecord::RecordNotFound (Couldn't find Order with 'id'=12):

    app/controllers/orders_controller.rb:7:in `show'
    lib/middleware.rb:3:in `call'
"""
NODE = """\
    /app/index.js:41
        throw new Error('no carrier');
        ^

    Error: no carrier
        at ship (/app/index.js:41:11)
        at Object.<anonymous> (/app/index.js:9:1) {
      code: 'EAWAY',
      [cause]: TypeError: pigeon
          at send (/app/pigeon.js:7:3)
    }

    Node.js v20.11.1
"""
NODE_LOGGED = """\
    cannot ship TypeError: Cannot read properties of undefined (reading 'id')
        at ship (file:///app/orders.mjs:41:11)
        at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
"""
TRACES = [
    ("python", PYTHON),
    ("python", PYTHON_GROUP),
    ("java", JAVA),
    ("java", JAVA_LOGGED),
    ("java", JAVA_OWN),
    ("go", GO),
    ("go", GO_SIGNAL),
    ("go", GO_HTTP),
    ("ruby", RUBY),
    ("ruby", RUBY_HIGHLIGHT),
    ("ruby", RAILS),
    ("node", NODE),
    ("node", NODE_LOGGED),
]


def lines_of(text: str) -> list[str]:
    """Return the lines of a sample without the margin that it has in this file."""
    return [line[4:] for line in text.rstrip("\n").split("\n")]


def merged(language: str, lines: list[str]) -> list[str]:
    transform = Multiline(LANGUAGES[language], 1.0)
    found = [*transform(events(lines)), *transform.due(0.0, everything=True)]
    return [each.log for each in found]


@pytest.mark.parametrize(("language", "text"), TRACES)
def test_a_stack_trace_is_one_event_between_its_neighbours(language: str, text: str) -> None:
    trace = lines_of(text)
    lines = ["10.0.0.1 GET /orders 200", *trace, "INFO done (in 3 ms)", "", "bye"]
    assert merged(language, lines) == [lines[0], "\n".join(trace), "INFO done (in 3 ms)", "", "bye"]


# In Ruby what follows a trace at once is its cause.
@pytest.mark.parametrize(("language", "text"), [each for each in TRACES if each[0] != "ruby"])
def test_two_traces_in_a_row_are_two_events(language: str, text: str) -> None:
    trace = lines_of(text)
    assert merged(language, [*trace, *trace]) == ["\n".join(trace)] * 2


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "lines",
    [
        ["listening on :8080", "", "  indented notice", "done (ok)"],
        ["2 Errors were found", "fix them", "INFO: go on"],
        ["Error: not a trace", "next line", "another"],
        ["http://host/app.js:12", "GET /", "ok"],
    ],
)
def test_other_lines_stay_as_they_are(language: str, lines: list[str]) -> None:
    assert merged(language, lines) == lines


def test_what_may_be_part_of_a_trace_is_not_where_the_trace_ends() -> None:
    assert merged("python", ["Traceback (most recent call last):", "  File x", "E: y", "", "text"]) == [
        "Traceback (most recent call last):\n  File x\nE: y",
        "",
        "text",
    ]
    assert merged("go", ["goroutine 1 [running]:", "main.main()", "plain"]) == [
        "goroutine 1 [running]:",
        "main.main()",
        "plain",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "piece", ["Error", ":1:in 'x(A", "A::", "main.(*x)(", "/a:1", "com.Foo", "(", "panic: "]
)
def test_no_line_takes_long(language: str, piece: str) -> None:
    machine = LANGUAGES[language]
    line = piece * 20_000
    began = time.process_time()
    machine.begin(line)
    for state in machine.moves:
        machine.follow(state, line)
    assert time.process_time() - began < 0.1
