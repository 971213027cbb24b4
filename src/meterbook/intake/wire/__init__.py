"""The doors of devices and programs people already have: emoncms, InfluxDB, MQTT, and others."""
