from __future__ import annotations

import json
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from log_forwarder.transforms.luhn import is_card, luhn_sum
from log_forwarder.transforms.patterns import MOST_CHARACTERS
from log_forwarder.transforms.secrets import RULES
from tests.log_forwarder.transforms.building import Counted, event, pipeline

T, U, C, E, IP = (f"[REDACTED:{name}]" for name in ("tokens", "url-passwords", "cards", "email", "ips"))
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"


def redacted(line: str, rules: str = "tokens,url-passwords,cards,email,ips") -> str:
    (found,) = pipeline(redact=rules.split(",")).apply([event(line)])
    return found.log


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Authorization: Bearer abc.DEF-123_x done", f"Authorization: {T} done"),
        ("curl -H 'Authorization: Basic dXNlcjpwYXNz'", f"curl -H 'Authorization: {T}'"),
        ("got bearer 0123456789abcdef", f"got bearer {T}"),
        ("password=hunter2", f"password={T}"),
        ("DB_PASSWORD: hunter2 and more", f"DB_PASSWORD: {T} and more"),
        ("passwd='it is secret' x", f"passwd='{T}' x"),
        ('{"password":"hun\\"ter","n":1}', f'{{"password":"{T}","n":1}}'),
        ('{"apiKey" : "abc", "n": 1}', f'{{"apiKey" : "{T}", "n": 1}}'),
        ('{"token":null,"secret":123,"pwd":true}', f'{{"token":null,"secret":"{T}","pwd":true}}'),
        ('{"tokens":["a"],"token":["b","c"]}', f'{{"tokens":["a"],"token":"{T}"}}'),
        ('{"secret":{"token":"abc"}}', f'{{"secret":{{"token":"{T}"}}}}'),
        (r'{"msg":"{\"password\":\"hunter2\",\"n\":1}"}', rf'{{"msg":"{{\"password\":\"{T}\",\"n\":1}}"}}'),
        ("GET /?token=abc&user=anna HTTP/1.1", f"GET /?token={T}&user=anna HTTP/1.1"),
        ("GET /?password=a&api_key=b", f"GET /?password={T}&api_key={T}"),
        ('{:password=>"x y", :user=>"anna"}', f'{{:password=>"{T}", :user=>"anna"}}'),
        ("mysqldump --db-password hunter2 --all", f"mysqldump --db-password {T} --all"),
        ("aws AKIAIOSFODNN7EXAMPLE", f"aws {T}"),
        (f"ghp_{'a1' * 18} github_pat_{'b' * 30}", f"{T} {T}"),
        (f"jwt {JWT}, ok", f"jwt {T}, ok"),
        ('password="never closed', f'password="{T}'),
        ("redis://:hunter2@cache:6379/0", f"redis://:{U}@cache:6379/0"),
        ("postgres://shop:p@ss@db/shop", f"postgres://shop:{U}@db/shop"),
        ("postgres://shop:pa/ss#@db/shop", f"postgres://shop:{U}@db/shop"),
        ("mongodb://u:p@h1,h2/db amqp://u:q@mq", f"mongodb://u:{U}@h1,h2/db amqp://u:{U}@mq"),
        ("paid with 4111 1111 1111 1111.", f"paid with {C}."),
        ("paid with 4111-1111-1111-1111, ok", f"paid with {C}, ok"),
        ("amex 3782 822463 10005 371449635398431", f"amex {C} {C}"),
        ('{"card":5500005555555559,"n":1}', f'{{"card":"{C}","n":1}}'),
        ("mail from <anna.b+x@mail.shop.example>", f"mail from <{E}>"),
        ("10.0.0.1:5000 and [2001:db8::1]:80", f"{IP}:5000 and [{IP}]:80"),
        ("fe80::1: unreachable, ::ffff:10.1.2.3", f"{IP}: unreachable, {IP}"),
        ("1:2:3:4:5:6:7:8", IP),
    ],
)
def test_secrets_are_replaced(line: str, expected: str) -> None:
    assert redacted(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "took 1767323045123 ms, 1767323045123456 us, 1767323045123456789 ns",
        "order 1234567890123456 of batch 4111111111111112",
        "trace 4bf92f3577b34da6a3ce929d0e0e4736 is 41111111111111111111 0.4111111111111111",
        "sha a4111111111111111f uuid 41111111-1111-1111-1111-111111111111",
        "max_tokens: 4096, tokens=17, secretary: Anna",
        "Enter password:",
        "at 12:34:56.789 std::string aa:bb:cc:dd:ee:ff v1.2.3.4",
        "1.2.3 1.2.3.4.5 999.1.1.1 300.2.3.4",
        "http://host:8080/a@b https://host/x?mail=no",
        "user@localhost a@b",
        "",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert redacted(line) == line


def test_redactions_are_counted_by_rule() -> None:
    counted = Counted()
    pipeline(counted, redact=["email", "ips"]).apply([event("a@b.example 10.0.0.1 10.0.0.2"), event("none")])
    assert counted.redacted == {"email": 1, "ips": 2}


def test_only_the_rules_that_were_asked_for_are_applied() -> None:
    assert redacted("a@b.example 10.0.0.1", "email") == f"{E} 10.0.0.1"


def test_own_patterns_are_applied_too_each_on_a_line_of_its_own() -> None:
    counted = Counted()
    found = pipeline(counted, redact_pattern="cust-\\d{2,4}\n  acct:\\w+ ")
    (got,) = found.apply([event("cust-123 acct:x9 cust-1")])
    assert got.log == "[REDACTED:pattern] [REDACTED:pattern] cust-1"
    assert counted.redacted == {"pattern": 2}


def test_an_own_pattern_that_matches_nothing_at_all_changes_nothing() -> None:
    counted = Counted()
    (got,) = pipeline(counted, redact_pattern="x*").apply([event("axxb")])
    assert got.log == "a[REDACTED:pattern]b"
    assert counted.redacted == {"pattern": 1}


def test_own_patterns_see_the_whole_of_a_long_line() -> None:
    line = "word " * MOST_CHARACTERS + "cust-123"
    (got,) = pipeline(redact_pattern=r"cust-\d+").apply([event(line)])
    assert got.log == line.replace("cust-123", "[REDACTED:pattern]")


def test_json_is_still_json_after_redaction() -> None:
    line = json.dumps({"password": 12, "token": [1], "card": 4111111111111111, "ip": "10.0.0.1", "n": None})
    assert set(json.loads(redacted(line))) == {"password", "token", "card", "ip", "n"}


words = st.text("abcXYZ019-_.~!$%^*+é", min_size=4, max_size=20)
around = st.text(max_size=30)


@given(words, around, st.sampled_from(["password", "API_KEY", "client_secret", "x-auth-token"]))
def test_a_planted_password_never_leaks(secret: str, text: str, name: str) -> None:
    assume(secret not in T and secret not in name)
    for line in (
        f"{name}={secret}",
        f"{name}: '{secret}'",
        f"--{name} q{secret}",
        json.dumps({name: secret, "n": 1}),
        json.dumps({"m": json.dumps({name: secret})}),
        f"https://anna:{secret}@host/",
    ):
        assert secret not in redacted(f"{line} end").replace(name, "")
        assume(secret not in text and "\\" not in text)
        assert secret not in redacted(f"{text.replace(secret, '')} {line}")


@given(st.text(min_size=1, max_size=20))
def test_any_text_as_a_json_value_never_leaks(secret: str) -> None:
    line = json.dumps({"password": secret, "n": 1})
    assert json.loads(redacted(line, "tokens")) == {"password": T, "n": 1}
    nested = json.loads(json.loads(redacted(json.dumps({"m": line}), "tokens"))["m"])
    assert nested == {"password": T, "n": 1}


@given(st.ip_addresses())
def test_no_ip_address_leaks(address: object) -> None:
    assume(str(address) != "::")
    assert redacted(f"from {address} port 80", "ips") == f"from {IP} port 80"


@given(st.sampled_from(["4", "51", "2221", "37", "6011", "36", "3528", "62"]), st.randoms())
def test_no_card_leaks(prefix: str, random: object) -> None:
    size = {"37": 15, "36": 14}.get(prefix, 16)
    body = prefix + "".join(str(random.randrange(10)) for _ in range(size - 1 - len(prefix)))  # type: ignore[attr-defined]
    card = body + str(-luhn_sum(body + "0") % 10)
    assert is_card(card)
    assert redacted(f"card={card};", "cards") == f"card={C};"


@given(st.integers(10**12, 10**13 - 1))
def test_milliseconds_since_1970_are_no_card(moment: int) -> None:
    assert redacted(str(moment), "cards") == str(moment)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "1",
        "4111 ",
        "4111111111111111 ",
        "a.",
        "a@",
        "@a.",
        "://",
        "://a:",
        "://a:b@",
        "::",
        "1:",
        "1.",
        "10.0.0.",
        "password",
        "password=",
        'password="\\',
        'password=\\"',
        "token: bearer ",
        "--password",
        "&",
        "eyJ",
        "eyJaaaaa.",
        "key [",
        'key":',
    ],
)
def test_time_grows_with_the_length_of_a_line_only(piece: str) -> None:
    lines = [piece * (size // len(piece)) for size in (20_000, 160_000)]
    for name, rule in RULES.items():
        took = []
        for line in lines:
            began = time.process_time()
            rule(line)
            took.append(time.process_time() - began)
        # Eight times the length; what is quadratic takes sixty-four times as long.
        assert took[1] < 30 * took[0] + 0.05, name
