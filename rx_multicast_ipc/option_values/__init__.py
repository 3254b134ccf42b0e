"""What options of a channel may be, beyond numbers and text: keys, engines, how to repair, who one is."""
