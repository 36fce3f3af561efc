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

# To add a measure: a file here that ends with its MEASURE, and its line in this list. The report,
# its JSON and tables, the settings and the progress are made from the list, and tests/evaluation/
# test_measures.py tries every entry. Then a test of the numbers in tests/evaluation/, and the
# definition in docs/evaluation.md.
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
