"""The last look before a message leaves: the facts of the moment, the hours, and what belongs to others."""
