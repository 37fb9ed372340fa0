"""What a closed statement posts: its number, its charges, and what takes them back."""
