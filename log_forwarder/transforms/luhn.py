"""Telling numbers of payment cards from other digits."""

from __future__ import annotations

from itertools import chain

# ISO/IEC 7812 prefixes of the issuers in use, and how long their numbers are. No issuer in use has 13 digits,
# as milliseconds since 1970 have, and none begins with 1, as micro- and nanoseconds do.
_ISSUERS: tuple[tuple[tuple[int, int], tuple[int, ...]], ...] = (
    ((4, 4), (16, 19)),  # Visa
    ((51, 55), (16,)),  # Mastercard
    ((2221, 2720), (16,)),  # Mastercard
    ((34, 34), (15,)),  # American Express
    ((37, 37), (15,)),  # American Express
    ((6011, 6011), (16, 17, 18, 19)),  # Discover
    ((644, 659), (16, 17, 18, 19)),  # Discover
    ((300, 305), (14, 16, 17, 18, 19)),  # Diners Club
    ((36, 36), (14, 16, 17, 18, 19)),  # Diners Club
    ((38, 39), (14, 16, 17, 18, 19)),  # Diners Club
    ((3528, 3589), (16, 17, 18, 19)),  # JCB
    ((62, 62), (16, 17, 18, 19)),  # UnionPay
    ((5018, 5018), (16, 17, 18, 19)),  # Maestro
    ((5020, 5020), (16, 17, 18, 19)),
    ((5038, 5038), (16, 17, 18, 19)),
    ((6304, 6304), (16, 17, 18, 19)),
    ((6759, 6763), (16, 17, 18, 19)),
)
PREFIXES = {str(prefix): lengths for (first, last), lengths in _ISSUERS for prefix in range(first, last + 1)}
_PREFIX_LENGTHS = sorted({len(prefix) for prefix in PREFIXES})
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def is_card(digits: str) -> bool:
    """Tell whether digits have the prefix and the length of an issuer, and the right check digit."""
    lengths = next((found for size in _PREFIX_LENGTHS if (found := PREFIXES.get(digits[:size]))), ())
    return len(digits) in lengths and luhn_sum(digits) % 10 == 0


def luhn_sum(digits: str) -> int:
    """Return the sum of ISO/IEC 7812-1 annex B: every second digit from the right is doubled."""
    backwards = [int(digit) for digit in reversed(digits)]
    return sum(chain(backwards[::2], (_DOUBLED[digit] for digit in backwards[1::2])))
