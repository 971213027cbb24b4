"""Roll-ups: what the ledger's rows of a region and local day add up to."""
