"""Sources without files: their rows are fetched as pages that land in a folder first."""
