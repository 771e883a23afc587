"""Where the files of a data set lie: in a folder, in tars, in a zip; nothing is unpacked."""
