"""Two methods that exist to try the contract at its hardest: one trains in stages, one moves rows while it trains.

They are not found by name unless a test registers them (:func:`pocketrec.testing.registered.registered`).
"""
