"""Digits per second, beside the other ways to run the same decoder and beside the machine's limits.

``make bench`` runs it. Every contender has its own long-lived process and generates with random
numbers of its own, in turns with all others; the numbers that README and docs publish come from
here.
"""
