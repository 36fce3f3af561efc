"""The measures, one file each."""

from digitvae.evaluation.measures import (
    aggregate,
    heldout,
    images,
    importance,
    neighbours,
    smoothness,
)
from digitvae.evaluation.settings import DRAWS

# To add a measure: a file here that ends with its MEASURE, its import, and its line in this list.
# The report, its JSON and tables, the settings and the progress are made from the list, and tests/
# evaluation/test_measures.py tries every entry. Then a test of the numbers in tests/evaluation/,
# and in docs/evaluation.md the definition and the printed table.
MEASURES = (
    heldout.MEASURE,
    importance.MEASURE,
    images.MEASURE,
    aggregate.MEASURE,
    neighbours.MEASURE,
    smoothness.MEASURE,
)
"""In the order of their tables."""

SIZES = (DRAWS, *(size for measure in MEASURES for size in measure.sizes))
"""All settings but the seed."""
