"""Reading OpenVINO files: which layers are integers, and the file computed as it is written."""
