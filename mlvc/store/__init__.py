"""Where bytes are kept by Oid: here, and at Remotes."""
