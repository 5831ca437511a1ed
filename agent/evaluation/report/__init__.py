"""The report of an evaluation, a training, a benchmark or a comparison: one page that needs nothing beside it."""
