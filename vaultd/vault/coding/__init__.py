"""From records to chunks and back: streams, sections, padding, bounds."""
