"""Evidence: encrypted blobs, hash chain, signed checkpoints, verification, export."""
