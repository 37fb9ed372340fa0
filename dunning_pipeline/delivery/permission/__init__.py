"""Who may be written to: consent, suppression, and the page on which recipients say so."""
