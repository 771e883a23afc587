"""Person, camera and benchmark, by the names of files and lists."""
