"""What is true of metering whatever the storage or the screen: no I/O, no clock, no framework."""
