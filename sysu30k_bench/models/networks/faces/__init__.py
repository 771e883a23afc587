"""Networks of face recognition and of trackers whose files are used as embeddings of persons."""
