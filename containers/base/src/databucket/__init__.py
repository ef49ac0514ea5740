"""What the containers of this project share: the data bucket, its layout, and how a command runs in a task."""
