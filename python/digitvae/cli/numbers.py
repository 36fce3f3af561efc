"""Whole numbers as users write them."""

from __future__ import annotations

from digitvae.base.arguments import MAX_COUNT, MAX_INDEX

__all__ = ["MAX_COUNT", "MAX_SEED", "parse_digits", "parse_whole"]

MAX_SEED = MAX_INDEX
_MAX_DIGIT = 65_535  # most classes that a prior can have, less one


def parse_whole(text: str, low: int, high: int) -> int:
    """The whole number in [low, high] that a text stands for, as 10000, 10_000 or 10,000.

    Raises:
        ValueError: It stands for none, or for one out of range.
    """
    plain = text.replace("_", "").replace(",", "")
    digits = plain.removeprefix("-")
    # int() would also take spaces and the digits of other scripts.
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{text!r} is not a whole number (such as 10_000)")
    # Python refuses to convert thousands of digits; so many are out of every range.
    number = int(plain) if len(digits) <= 30 else None
    if number is None or not low <= number <= high:
        raise ValueError(f"{text} is not in the range {low:,} to {high:,}")
    return number


def parse_digits(text: str) -> list[int]:
    """The digits that a text lists, as 7, 0-9 or 1,3,5-7, in its order and with its repeats.

    Raises:
        ValueError: It lists none.
    """
    digits: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first or (dash and not last):
            raise ValueError(f"{text!r} is not a list of digits (such as 7, 0-9 or 1,3,5-7)")
        low = parse_whole(first, 0, _MAX_DIGIT)
        high = parse_whole(last, 0, _MAX_DIGIT) if dash else low
        if low > high:
            raise ValueError(f"{part} runs backwards; write {high}-{low}, or one after the other")
        digits.extend(range(low, high + 1))
    return digits
