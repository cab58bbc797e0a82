"""What a traced function reads and writes around itself: paths, guards, and the code that follows them."""
