"""What everything else is built on: checks of arguments, descriptors, processes, and files of one process."""
