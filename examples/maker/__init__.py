"""Makes the example documents: ordinary office papers whose values vary with a seed."""
