"""What providers tell after a message left: verified, translated into one vocabulary, stored once, applied."""
