"""The only importer of PyAV: decoding, for functions that have the media layer."""
