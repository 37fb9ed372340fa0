"""The workers: claiming, sending and recording, over threads, processes and their deaths."""
