"""The declared way from source columns to the data model, checked and compiled to SQL."""
