"""Open-set identification: misses and false alarms at a threshold (ISO/IEC 19795-1)."""
