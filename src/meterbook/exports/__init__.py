"""What leaves Meterbook as a file."""
