"""The way back: a point in time opened from kit and place, checked, and written out."""
