"""Training samples drawn with torch from prepared cases: patches, whole frames, pieces of volumes, windows."""
