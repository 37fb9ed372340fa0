"""The data graph and the merge document, and the page that lists their fields."""
