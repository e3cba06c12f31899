"""Writers and readers of ISO base media files: init segments, fragments, progressive MP4."""
