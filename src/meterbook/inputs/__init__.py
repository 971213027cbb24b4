"""
What devices send of themselves: kept from the first moment, claimed later.

    device ── input "power1" ──► samples (pool) ── claim ──► readings of a channel (recording)
"""
