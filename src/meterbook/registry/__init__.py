"""Who and what is metered: accounts, tokens, meter points, meters, channels."""
