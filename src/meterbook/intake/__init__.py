"""The doors: each turns foreign bytes into readings; group_commit puts them into the daybook."""
