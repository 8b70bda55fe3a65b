"""What needs torch: building, and later verifying, training and profiling."""
