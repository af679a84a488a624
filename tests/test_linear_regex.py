from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose_agent.linear_regex import LinearRegex, anchored

# Texts are short and of few characters, so that many of them match.
_CHARACTERS = "abA1- .\n_é"


def expressions() -> st.SearchStrategy[str]:
    atoms = st.sampled_from(
        [
            "a",
            "b",
            "1",
            "-",
            r"\.",
            ".",
            "[ab]",
            "[^a]",
            "[a-z]",
            r"\d",
            r"\w",
            r"\S",
            "",
            "^",
            "$",
            r"[^\d-]",
        ]
    )

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        repeats = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}?", "*?", "{2,}"])
        return st.one_of(
            st.lists(inner, max_size=4).map("".join),
            st.lists(inner, min_size=1, max_size=3).map(lambda ways: f"(?:{'|'.join(ways)})"),
            st.tuples(inner, repeats).map(lambda both: f"(?:{both[0]}){both[1]}"),
            inner.map(lambda body: f"(?i:{body})"),
            inner.map(lambda body: f"(?s:{body})"),
        )

    return st.recursive(atoms, larger, max_leaves=12)


@given(expressions(), st.lists(st.text(_CHARACTERS, max_size=8), max_size=8))
def test_it_answers_as_python_does(expression: str, texts: list[str]) -> None:
    compiled = re.compile(rf"(?:{expression})\Z", re.ASCII)
    regex = LinearRegex(f"(?:{expression})")
    for text in texts:
        # Python's $ also stands before a newline at the end, and its ASCII knows no other case of é.
        if "\n" not in text and "é" not in text:
            assert regex.fullmatch(text) is bool(compiled.match(text)), (expression, text)


@pytest.mark.parametrize(
    ("expression", "text", "matches"),
    [
        ("crit.*|page", "critical", True),
        ("crit.*|page", "page", True),
        ("crit.*|page", "a page", False),
        ("crit.*|page", "pages", False),
        ("", "", True),
        ("a$", "a\n", False),
        ("^a$", "a", True),
        ("$^", "", True),
        (r"\d+", "١٢", False),
        ("(?i)straße", "STRAßE", True),
        ("(?i)[^a]", "A", False),
        ("(?i)[^é]", "É", False),
        ("(?s).*", "a\nb", True),
        (".*", "a\nb", False),
        ("web-[0-9]{1,3}", "web-1234", False),
        ("(?P<name>x)y", "xy", True),
    ],
)
def test_a_text_matches_as_a_whole_or_not(expression: str, text: str, matches: bool) -> None:
    regex = LinearRegex(expression)
    assert regex.fullmatch(text) is matches


@pytest.mark.parametrize(
    "expression", ["(a+)+", "(a|a)*", "(a|aa)+", "(a*)*b", "(.*a){20}", "(a?){50}a{50}", "(a|b|ab)*c"]
)
def test_no_text_takes_long(expression: str) -> None:
    regex = LinearRegex(expression)
    begin = time.process_time()
    regex.fullmatch("a" * 4096 + "!")
    # Python's own matcher would not live to see the end of most of these.
    assert time.process_time() - begin < 5


def test_texts_that_lead_to_ever_new_states_fill_no_memory() -> None:
    regex = LinearRegex("(a|b)*a(a|b){12}")
    for number in range(3000):
        text = f"{number:013b}".replace("0", "a").replace("1", "b")
        assert regex.fullmatch(text) is (text[-13] == "a")
    assert len(regex._states) <= 500


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("a(", "'a(' is no regular expression: missing ), unterminated subpattern at character 2"),
        (r"(a)\1", r"'(a)\1' has a reference to a group, which Prometheus and Alertmanager do not know"),
        ("(?=a)", "'(?=a)' has a look-around, which Prometheus and Alertmanager do not know"),
        ("a++", "'a++' has a possessive repeat, which Prometheus and Alertmanager do not know"),
        (r"\ba", r"'\ba' has a word boundary, which Prometheus and Alertmanager do not know"),
        ("(?m)a", "'(?m)a' has the flag m, which Prometheus and Alertmanager do not know"),
        ("((a{20}){20}){20}", "'((a{20}){20}){20}' is too large with its repeats written out"),
        (r"\pL", r"'\pL' is no regular expression: bad escape \p at character 1"),
        ("[[:alpha:]]", "'[[:alpha:]]' is no regular expression: Possible nested set at position 1"),
        ("a" * 2001, "expected a regular expression of at most 2000 characters"),
    ],
)
def test_an_expression_that_cannot_be_taken_is_refused(expression: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        LinearRegex(expression)


def test_deep_nesting_is_refused_or_taken_but_never_crashes() -> None:
    with pytest.raises(ValueError, match=r"nested|recursion"):
        LinearRegex("(" * 900 + "a" + ")" * 900)


def test_the_same_text_is_compiled_once() -> None:
    assert anchored("a+") is anchored("a+")
