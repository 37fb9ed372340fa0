"""The SQL of identity resolution: pure functions that give (table name, SELECT); `engine.py` is where they run."""
