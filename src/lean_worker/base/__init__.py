"""Common ground of all layers: argument checks, descriptors, processes, and files that belong to one process."""
