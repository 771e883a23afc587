"""Timings; none of them is a test."""
