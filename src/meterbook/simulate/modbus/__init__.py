"""Virtual Modbus devices: a home with a sun, meters and inverters that measure it, and faults."""
