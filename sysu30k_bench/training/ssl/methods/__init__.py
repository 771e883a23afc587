"""The methods: one file each, around one base."""
