"""`/devices`: what people's own devices send, their keys, and saying what their numbers are."""
