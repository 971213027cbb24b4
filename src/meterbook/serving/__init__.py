"""
HTTP: sockets, worker processes and connections, up to the application.

uvicorn speaks HTTP. What is ours is what it leaves open: limits to silence and size, a short way
for packets, and who starts whom.
"""
