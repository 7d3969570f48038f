"""Where a restore writes: private folders and files, safe names, scratch, faults."""
